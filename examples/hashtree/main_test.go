package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEachFileIsHashedOnce(t *testing.T) {
	big, small := t.TempDir(), t.TempDir()
	for i := range 300 { // more than a queue holds
		write(t, filepath.Join(big, fmt.Sprintf("%03d", i)))
	}
	write(t, filepath.Join(small, "one"))
	var out strings.Builder
	if err := hashAll(t.Context(), []string{big, small}, &out); err != nil {
		t.Fatal(err)
	}
	const ofHello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	seen := make(map[string]bool)
	for _, line := range lines {
		sum, name, _ := strings.Cut(line, "  ")
		if sum != ofHello || seen[name] {
			t.Errorf("a wrong hash, or a second one: %s", line)
		}
		seen[name] = true
	}
	if len(seen) != 301 {
		t.Errorf("%d files, want 301", len(seen))
	}
}

func TestWhatCannotBeReadIsToldAndTheRestIsDone(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one"))
	var out strings.Builder
	err := hashAll(t.Context(), []string{filepath.Join(dir, "none"), dir}, &out)
	if !errors.Is(err, os.ErrNotExist) || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("error %v, output %q; want one of a missing directory, and one line", err, out.String())
	}
}

func TestItEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "one"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := hashAll(ctx, []string{dir}, new(strings.Builder)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
}

func write(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
}
