// Package terminal is about what people look at: whether something is a terminal, how
// large it is, and how a text is made to fit.
package terminal
