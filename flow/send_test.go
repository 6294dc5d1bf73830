package flow

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestSendWithTimeoutGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, cancelGone := context.WithCancel(t.Context())
		cancelGone()
		for _, tt := range []struct {
			name     string
			ctx      context.Context
			room     int
			timeout  time.Duration
			received time.Duration // when somebody receives; 0: nobody
			want     error
			after    time.Duration
		}{
			{"room at once", t.Context(), 1, time.Minute, 0, nil, 0},
			{"room at once and no time", t.Context(), 1, 0, 0, nil, 0},
			{"nobody", t.Context(), 0, 3 * time.Second, 0, ErrTimeout, 3 * time.Second},
			{"nobody, no time", t.Context(), 0, 0, 0, ErrTimeout, 0},
			{"nobody, less than no time", t.Context(), 0, -1, 0, ErrTimeout, 0},
			{"somebody in time", t.Context(), 0, 3 * time.Second, 2 * time.Second, nil, 2 * time.Second},
			{"somebody too late", t.Context(), 0, 3 * time.Second, 4 * time.Second, ErrTimeout, 3 * time.Second},
			{"the context ended before", gone, 1, time.Second, 0, context.Canceled, 0},
		} {
			ch := make(chan int, tt.room)
			began := time.Now()
			if tt.received > 0 {
				time.AfterFunc(tt.received, func() {
					select {
					case <-ch:
					default:
					}
				})
			}
			err := SendWithTimeout(tt.ctx, ch, 7, tt.timeout)
			if took := time.Since(began); err != tt.want || took != tt.after {
				t.Errorf("%s: %v after %v, want %v after %v", tt.name, err, took, tt.want, tt.after)
			}
		}
		early, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		err := SendWithTimeout(early, make(chan int), 7, time.Hour)
		if took := time.Since(began); err != context.DeadlineExceeded || took != time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}
