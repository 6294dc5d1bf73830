package consumer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

type ctxKey struct{}

func TestARunContextIsAContextInEveryRespect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := context.WithValue(t.Context(), ctxKey{}, "value")
		var c runContext
		c.begin(&parent, time.Now().Add(time.Minute))
		if c.Err() != nil || c.Value(ctxKey{}) != "value" {
			t.Errorf("Err %v, Value %v", c.Err(), c.Value(ctxKey{}))
		}
		child, cancel := context.WithCancel(&c)
		defer cancel()
		cause := errors.New("why")
		c.end(cause)
		<-child.Done()
		if child.Err() != context.Canceled || context.Cause(child) != cause || context.Cause(&c) != cause {
			t.Errorf("the child has %v because of %v", child.Err(), context.Cause(child))
		}
		c.end(errors.New("later"))
		if _, got := c.ended(); got != cause {
			t.Errorf("ended by %v", got)
		}
	})
}

func TestARunContextPassesItsDeadlineOnlyIfSomebodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c runContext
		c.begin(background(t), time.Now().Add(time.Minute))
		if c.state.Load() != nil {
			t.Error("it is real before anybody looks")
		}
		time.Sleep(2 * time.Minute)
		if !errors.Is(c.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(&c), context.DeadlineExceeded) {
			t.Errorf("Err %v, cause %v", c.Err(), context.Cause(&c))
		}
	})
}

func TestARunContextThatEndedBeforeItWasLookedAtIsOver(t *testing.T) {
	var c runContext
	c.begin(background(t), time.Time{})
	c.end(ErrLeaseLost)
	<-c.Done()
	if context.Cause(&c) != ErrLeaseLost {
		t.Errorf("cause %v", context.Cause(&c))
	}
	if _, ok := c.Deadline(); ok {
		t.Error("it has a deadline")
	}
	c.begin(background(t), time.Time{})
	if c.Err() != nil {
		t.Error("the next run begins with an ended context")
	}
}

func TestARunContextIsOverAfterItsRun(t *testing.T) {
	var unseen, seen runContext
	unseen.begin(background(t), time.Time{})
	seen.begin(background(t), time.Time{})
	if seen.Err() != nil {
		t.Error("over too early")
	}
	for _, c := range []*runContext{&unseen, &seen} {
		c.free()
		<-c.Done()
		if c.Err() != context.Canceled {
			t.Errorf("Err %v", c.Err())
		}
	}
}

// background is a parent.
func background(t *testing.T) *context.Context {
	ctx := t.Context()
	return &ctx
}

func TestAContextThatIsOverStaysSoWhileTheNextRunGoesOn(t *testing.T) {
	for name, look := range map[string]bool{"one that was looked at": true, "one that nobody looked at": false} {
		t.Run(name, func(t *testing.T) {
			var d delivery
			d.beginRun(background(t), time.Time{})
			kept := d.run()
			if look && kept.Err() != nil {
				t.Fatal("over too early")
			}
			kept.free()
			d.overloads++
			d.beginRun(background(t), time.Time{})
			if kept.Err() == nil || d.run().Err() != nil {
				t.Errorf("of the first run %v, of the next %v", kept.Err(), d.run().Err())
			}
			d.run().end(ErrLeaseLost)
			if context.Cause(kept) == ErrLeaseLost || context.Cause(d.run()) != ErrLeaseLost {
				t.Errorf("causes %v and %v", context.Cause(kept), context.Cause(d.run()))
			}
		})
	}
}

// The allocator has classes of 288 and 320 bytes.
func TestADeliveryFitsItsSizeClass(t *testing.T) {
	if size := unsafe.Sizeof(delivery{}); size > 288 {
		t.Errorf("%d bytes", size)
	}
}
