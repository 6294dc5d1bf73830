package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestTheStoryIsToldToItsEnd(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, 500*time.Millisecond, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SPIKE", "concurrency_limit", "jobs accepted, by id", "nothing lost"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestItEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, new(bytes.Buffer), time.Hour, "127.0.0.1:0"); err != nil && ctx.Err() == nil {
		t.Error(err)
	}
}
