package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestItServesUntilItsContextEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	told, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", "127.0.0.1:0", "--workers", "2", "--service", "1ms"}, write)
	}()
	line := make([]byte, 100)
	n, err := told.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	url, says, _ := strings.Cut(string(line[:n]), " ")
	if says != "serves 2000 calls a second\n" {
		t.Errorf("says %q", says)
	}
	resp, err := http.Post(url+"/invoice", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("answers %s", resp.Status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--workers", "-1"}, {"--nothing"}, {"--listen", "nowhere:-1"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	if err := run(t.Context(), []string{"--help"}, io.Discard); err != nil {
		t.Errorf("--help: %v", err)
	}
}
