package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
)

// wantNoSubscriptions checks that a Consumer that has stopped listens to nothing. The
// one that may stay is the client's own, for the answers to requests.
func (p *process) wantNoSubscriptions() {
	p.t.Helper()
	if n := p.nc.NumSubscriptions(); n > 1 {
		p.t.Errorf("%d subscriptions are left on the connection", n)
	}
}

// Whatever was on its way when the drain began is with the next process at once, and
// not only after AckWait.
func TestADrainWithEverythingInFlightStrandsNothing(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					time.Sleep(2 * time.Millisecond)
					if strings.HasSuffix(string(m.Data), "3") && m.Attempt == 1 {
						return consumer.RetryAfter(errors.New("once more"), time.Millisecond)
					}
					return nil
				})
				cfg := config(t, func(cfg *consumer.Config) { cfg.Workers = 16; cfg.DrainTimeout = 50 * time.Millisecond })
				ids := r.publishMany("m", 2000, 0)
				for range 4 {
					p := r.process(cfg, l)
					eventually(t, time.Minute, "it runs", func() bool { return p.c.Ready() == nil })
					time.Sleep(after)
					if err := p.stop(); err != nil && !errors.Is(err, consumer.ErrDrainTimeout) {
						t.Error(err)
					}
					p.wantNoSubscriptions()
					if held := p.c.Snapshot().Held; held != 0 {
						t.Errorf("%d are held after the drain", held)
					}
				}
				start := time.Now()
				last := r.process(cfg, l)
				eventually(t, 25*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) && r.settled() })
				if took := l.lastRun().Sub(start); took > 3*time.Second {
					t.Errorf("the rest took %v", took)
				}
				if err := last.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 5)
			})
		})
	}
}

// A pull that the server answers in the moment of its end: what was taken and not settled
// would be stranded for AckWait. What the server itself had nobody to send to, it counts as
// unacknowledged until the next pull, and gives to that at once.
func TestADrainInTheMidstOfAFloodStrandsNothing(t *testing.T) {
	r := newRig(t)
	stop := make(chan struct{})
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_, _ = r.js.PublishAsync(fmt.Sprintf("jobs.t%d.x", i%10), []byte("m"))
				if i%200 == 0 {
					<-r.js.PublishAsyncComplete()
				}
			}
		}
	}()
	endFlood := sync.OnceFunc(func() { close(stop); <-flood })
	defer endFlood()
	h := consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil })
	cfg := config(t, func(cfg *consumer.Config) {
		cfg.Tenants.OnOverflow, cfg.AckWait = consumer.OverflowHold, time.Hour
	})
	for i := range 15 {
		p := r.process(cfg, h)
		eventually(t, 30*time.Second, "messages flow", func() bool { return p.lane(consumer.LaneMain).Pulled > uint64(100*(i+1)) })
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		p.wantNoSubscriptions()
	}
	endFlood()
	p := r.process(cfg, h)
	eventually(t, time.Minute, "all is acknowledged", r.settled)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func TestADrainHandsOverWhatWaitsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		g := newGate(t)
		l := newLedger(g.waitOrEnd)
		cfg := config(t, func(cfg *consumer.Config) { cfg.Workers = 4; cfg.DrainTimeout = time.Second })
		ids := r.publishMany("m", 100, 0)
		p := r.process(cfg, l)
		eventually(t, time.Second, "all are held", func() bool { return p.c.Snapshot().Held == len(ids) })
		if err := p.stop(); !errors.Is(err, consumer.ErrDrainTimeout) {
			t.Errorf("Run returned %v", err)
		}
		p.wantNoSubscriptions()
		next := newLedger(nil)
		start := time.Now()
		second := r.process(cfg, next)
		eventually(t, time.Minute, "the next has all", func() bool { return next.handled() == len(ids) })
		if took := next.lastRun().Sub(start); took > time.Second {
			t.Errorf("the next process waited %v", took)
		}
		if err := second.stop(); err != nil {
			t.Error(err)
		}
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d are unacknowledged", n)
		}
		next.wantEach(t, ids, 1, 1)
	})
}

func TestADrainWithoutAConnectionEndsAndLeavesNothingBehind(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		g := newGate(t)
		network := newLink(r.Server)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 4; cfg.DrainTimeout = 2 * time.Second }),
			newLedger(g.waitOrEnd), nats.InProcessServer(network))
		r.publishMany("m", 100, 0)
		time.Sleep(2 * time.Second)
		network.cut()
		eventually(t, time.Second, "the client knows", func() bool { return !p.nc.IsConnected() })
		start := time.Now()
		err := p.stop()
		if !errors.Is(err, consumer.ErrDrainTimeout) || !strings.Contains(err.Error(), "may not have reached") {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("the drain took %v", took)
		}
		p.wantNoSubscriptions()
		network.heal()
		eventually(t, time.Second, "connected again", p.nc.IsConnected)
		p.wantNoSubscriptions()
	})
}
