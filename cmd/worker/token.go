package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxToken bounds a token, so that a wrong file is not taken for one.
const maxToken = 4 << 10

// readToken returns the token in a file, "" if none is named. key is how the name was
// given. The token is a secret, and in no error.
func readToken(key, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	token, err := tokenIn(name)
	if err != nil {
		return "", &usageError{fmt.Errorf("%s: %w", key, err)}
	}
	return token, nil
}

func tokenIn(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxToken+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	switch {
	case len(text) > maxToken:
		return "", fmt.Errorf("%s is longer than %d bytes", name, maxToken)
	case token == "":
		return "", errors.New(name + " is empty")
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New(name + " must hold one token of printable ASCII, without spaces")
	}
	return token, nil
}
