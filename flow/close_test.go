package flow

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestCloseFinishesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 2, Queue: 10})
		began := time.Now()
		for range 10 {
			p.Submit(sleeps(time.Second))
		}
		closed(t, p)
		if got := time.Since(began); got != 5*time.Second {
			t.Errorf("Close took %v, want 5s", got)
		}
		if s := p.Stats(); s.Executed != 10 || s.Accepted != 10 {
			t.Errorf("got %+v", s)
		}
		closed(t, p) // again
	})
}

func TestAfterCloseSubmitSaysErrClosed(t *testing.T) {
	p := newPool(t, PoolConfig{})
	closed(t, p)
	if err := p.Submit(nothing); err != ErrClosed {
		t.Errorf("Submit is %v", err)
	}
	if err := p.SubmitCtx(t.Context(), nothing); err != ErrClosed {
		t.Errorf("SubmitCtx is %v", err)
	}
	if p.TrySubmit(nothing) {
		t.Error("TrySubmit accepted a job")
	}
	if s := p.Stats(); s.Rejected != 3 || s.Submitted != 3 {
		t.Errorf("got %+v", s)
	}
}

func TestCloseEndsTheWaitOfSubmitters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 1})
		job, free := blocked()
		p.Submit(job)
		synctest.Wait()
		p.Submit(job)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := p.Submit(job); err != ErrClosed {
					t.Errorf("Submit is %v", err)
				}
			})
		}
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 5 {
			t.Errorf("got %+v", s)
		}
		wg.Go(func() { closed(t, p) })
		synctest.Wait()
		if s := p.Stats(); s.Waiting != 0 || s.Rejected != 5 {
			t.Errorf("got %+v", s)
		}
		free()
		wg.Wait()
	})
}

func TestCloseGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 2, Queue: 5})
		job, free := blocked()
		p.Submit(job) // ignores its context
		p.Submit(func(ctx context.Context) {
			<-ctx.Done()
			if context.Cause(ctx) != ErrClosed {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
		})
		synctest.Wait()
		for range 5 {
			p.Submit(func(context.Context) { t.Error("a dropped job has run") })
		}
		began := time.Now()
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		err := p.Close(ctx)
		if !errors.Is(err, cause) || !strings.Contains(err.Error(), "5 dropped") {
			t.Errorf("Close is %v", err)
		}
		if got := time.Since(began); got != time.Second {
			t.Errorf("Close took %v, want 1s", got)
		}
		synctest.Wait()
		if s := p.Stats(); s.Dropped != 5 || s.InFlight != 1 || s.Executed != 1 || s.Queued != 0 {
			t.Errorf("got %+v", s)
		}
		free()
		closed(t, p) // waits for the rest
		if s := p.Stats(); s.Executed != 2 || s.Accepted != 7 {
			t.Errorf("got %+v", s)
		}
	})
}

// A worker has taken a job and not begun it when Close gives up.
func TestAJobInTheHandsOfAWorkerIsDroppedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, release := make(chan struct{}), make(chan struct{})
		p := newPool(t, PoolConfig{Workers: 1, Queue: 4, ShedAbove: 1, ResumeBelow: 1, OnShed: func(shedding bool) {
			if !shedding { // the worker, which has taken the last job
				close(held)
				<-release
			}
		}})
		job, free := blocked()
		p.Submit(job)
		synctest.Wait()
		for range 2 {
			p.Submit(func(context.Context) {
				select {
				case <-held:
					t.Error("a dropped job has run")
				default:
				}
			})
		}
		free()
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Close(ctx); err == nil {
			t.Error("Close was in time")
		}
		close(release)
		closed(t, p)
		if s := p.Stats(); s.Dropped != 1 || s.Executed != 2 {
			t.Errorf("got %+v", s)
		}
	})
}
