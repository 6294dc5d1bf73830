package handlers

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// maxHeaderFile bounds what is read of a file that holds the value of a header.
const maxHeaderFile = 64 << 10

// HeaderValue is the value of a header, or the file that holds it.
type HeaderValue struct {
	Value string
	File  string
}

// read returns the value. A file is read each time, so that a token in it can be
// replaced while we run.
func (v HeaderValue) read() (string, error) {
	if v.File == "" {
		return v.Value, nil
	}
	f, err := os.Open(v.File)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxHeaderFile+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxHeaderFile {
		return "", fmt.Errorf("%s is longer than %d bytes", v.File, maxHeaderFile)
	}
	value := strings.TrimSpace(string(data))
	switch {
	case value == "":
		return "", fmt.Errorf("%s is empty", v.File)
	case !validValue(value):
		return "", errors.New(v.File + " holds more than one line, or control characters")
	}
	return value, nil
}

// kept are the headers of a message that do not pass: those of the connection, those
// that speak for whoever sends the request, and those that only we may set.
var kept = map[string]bool{
	"authorization":       true,
	"connection":          true,
	"content-length":      true,
	"cookie":              true,
	"host":                true,
	"idempotency-key":     true,
	"keep-alive":          true,
	"proxy-authenticate":  true,
	"proxy-authorization": true,
	"proxy-connection":    true,
	"te":                  true,
	"trailer":             true,
	"transfer-encoding":   true,
	"upgrade":             true,
}

// passed returns the headers of a message that are sent along.
func passed(from nats.Header) http.Header {
	named := namedByConnection(from)
	to := make(http.Header, len(from)+8)
	for name, values := range from {
		folded := fold(name)
		if kept[folded] || named[folded] || strings.HasPrefix(folded, "nats-") || strings.HasPrefix(folded, "spillway-") || !IsHeaderName(name) {
			continue
		}
		for _, v := range values {
			if validValue(v) {
				to.Add(name, v)
			}
		}
	}
	return to
}

// namedByConnection returns the headers that Connection says are of the connection.
func namedByConnection(from nats.Header) map[string]bool {
	named := make(map[string]bool)
	for name, values := range from {
		if fold(name) != "connection" {
			continue
		}
		for _, v := range values {
			for option := range strings.SplitSeq(v, ",") {
				named[fold(strings.TrimSpace(option))] = true
			}
		}
	}
	return named
}

// fold returns name in the form in which names are compared. An underscore counts as
// a hyphen, because many servers pass both to their programs as one.
func fold(name string) string {
	return strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// IsHeaderName reports whether name may be the name of an HTTP header.
func IsHeaderName(name string) bool {
	const allowed = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return name != "" && strings.Trim(name, allowed) == ""
}

// validValue reports whether v is one line without control characters, tabs apart.
func validValue(v string) bool {
	return strings.IndexFunc(v, func(r rune) bool { return isControl(r) && r != '\t' }) < 0
}
