// Package handlers are the handlers that a config file can name: HTTP posts a message
// to a URL, Exec runs a command for it, Discard does nothing. Each is a
// [consumer.Handler].
//
// What is told about a message comes from strangers. It is put into headers and
// variables only in a form that cannot be taken for something else there: control
// characters are written as %XX, and headers that do not fit HTTP stay behind.
package handlers
