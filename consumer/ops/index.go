package ops

import (
	"html/template"
	"net/http"
)

// endpoint is one line of the index.
type endpoint struct {
	Path, Is string
	Guarded  bool // it shows tenants, so it may need the token
}

// index answers / with links to what is served. It names nothing of the consumer, and is
// open to all.
type index struct{ endpoints []endpoint }

func (x index) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = indexPage.Execute(w, x.endpoints) // the client went away, or it did not
}

var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Spillway worker</title></head>
<body>
<h1>Spillway worker</h1>
<ul>
{{range .}}<li><a href="{{.Path}}">{{.Path}}</a> {{.Is}}{{if .Guarded}}; needs the token unless asked for on this machine{{end}}</li>
{{end}}</ul>
</body>
</html>
`))
