package handlers_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
)

func TestDiscardSucceedsAfterItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := (handlers.Discard{Delay: time.Minute}).Handle(t.Context(), message()); err != nil || time.Since(start) != time.Minute {
			t.Errorf("returns %v after %v", err, time.Since(start))
		}
	})
}

func TestDiscardEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := (handlers.Discard{Delay: time.Hour}).Handle(ctx, message()); !errors.Is(err, cause) {
		t.Errorf("returns %v", err)
	}
}
