// Package demo shows a text that changes on a terminal: "worker demo" tells the story of
// examples/endtoend with it.
package demo
