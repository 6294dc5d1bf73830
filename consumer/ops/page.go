package ops

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// The page is what is in assets, as it is: there is no step that builds it.
//
//go:embed assets
var embedded embed.FS

// pageTypes are the types of the files of the page, by the ends of their names. They are not
// left to the tables of the machine.
var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8", // a licence
}

// pagePolicy lets the page load its own files and call its own endpoint, and nothing else. No
// script can make markup of text: names of tenants are shown as they are.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// asset is one file.
type asset struct {
	kind, tag string
	body      []byte
}

// newPage is the handler of the page itself, which differs only by whether there are metrics
// to link to.
func newPage(metrics bool) http.Handler {
	t := template.Must(template.ParseFS(embedded, "assets/index.html"))
	var b bytes.Buffer
	if err := t.Execute(&b, struct{ Metrics bool }{metrics}); err != nil {
		b.Reset() // it is executed by every test
	}
	a := newAsset("index.html", b.Bytes())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		a.ServeHTTP(w, r)
	})
}

// assets is the handler of the files that the page loads.
func assets() http.Handler {
	files := make(map[string]asset)
	_ = fs.WalkDir(embedded, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".html") {
			return err
		}
		body, err := embedded.ReadFile(name)
		files["/"+name] = newAsset(name, body)
		return err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		a.ServeHTTP(w, r)
	})
}

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	return asset{kind: pageTypes[path.Ext(name)], tag: `"` + hex.EncodeToString(sum[:8]) + `"`, body: body}
}

// ServeHTTP lets browsers keep the file, and ask each time whether it is still the same.
func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.body))
}
