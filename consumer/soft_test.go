package consumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// waits remembers how long after their publication messages of a tenant began.
type waits struct {
	mu    sync.Mutex
	of    string
	worst time.Duration
	n     int
}

func (w *waits) handle(took time.Duration) func(context.Context, *consumer.Message) error {
	return func(_ context.Context, m *consumer.Message) error {
		if m.Tenant == w.of {
			w.mu.Lock()
			w.worst = max(w.worst, time.Since(m.Published))
			w.n++
			w.mu.Unlock()
		}
		time.Sleep(took)
		return nil
	}
}

func (w *waits) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// floods publishes n messages of each of so many tenants, in turn, and returns their ids.
func (r *rig) floods(tenants, n int, kind string) (ids []string) {
	r.t.Helper()
	for i := range n {
		for k := range tenants {
			id := fmt.Sprintf("flood%d-%s-%d", k, kind, i)
			r.publish(fmt.Sprintf("jobs.flood%d.%s", k, kind), id)
			ids = append(ids, id)
		}
	}
	return ids
}

// Each flood alone would fit; together they have more than the buffer holds.
func TestManyTenantsThatFloodTogetherDelayNobodyElse(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.floods(20, 120, "x")
		w := &waits{of: "quiet"}
		l := newLedger(w.handle(50 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 8
			cfg.Buffer.Messages = 512
		}), l)
		time.Sleep(2 * time.Second) // the skim
		for i := range 20 {         // a quarter of its share
			time.Sleep(500 * time.Millisecond)
			ids = append(ids, fmt.Sprint("quiet-", i))
			r.publish("jobs.quiet.x", ids[len(ids)-1])
		}
		eventually(t, time.Second, "the quiet tenant is served", func() bool { return w.count() == 20 })
		if w.worst > 150*time.Millisecond {
			t.Errorf("a message of the quiet tenant waited %v while runs take 50 ms", w.worst)
		}
		if held := p.c.Snapshot().Held; held > 512 {
			t.Errorf("%d messages are held", held)
		}
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
	})
}

// What cannot run must not take the room of what can.
func TestADeadDownstreamWithManyTenantsLeavesTheOtherItsThroughput(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, dead, fine := newRig(t), newFlaky(true), newLedger(takes(10*time.Millisecond))
		r.floods(30, 60, "billing")
		ids := r.floods(30, 200, "mail")
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 8
			cfg.Buffer.Messages = 512
			cfg.Retry.Initial, cfg.Retry.Max = time.Hour, time.Hour
			cfg.Downstreams = map[string]consumer.Downstream{
				"billing": tripAfter(5, 10*time.Minute),
				"mail":    {Limit: consumer.Limit{Algorithm: "none"}, Breaker: consumer.Breaker{Disabled: true}},
			}
		}), routes(dead, fine))
		begun := time.Now()
		eventually(t, time.Minute, "the healthy downstream has done its work", func() bool { return fine.handled() == len(ids) })
		ideal := time.Duration(len(ids)) * 10 * time.Millisecond / 8
		if took := time.Since(begun); took > ideal*21/20+time.Second {
			t.Errorf("it took %v, alone it would be %v", took, ideal)
		}
		fine.wantEach(t, ids, 1, 1)
		if n := p.settledAs(consumer.OutcomeDelay); n > 0 {
			t.Errorf("%d messages were handed back", n)
		}
		dead.down.Store(false)
	})
}

// What was pulled for a downstream before that broke is moved out when it takes too much room.
func TestWhatWaitsForADownstreamThatBrokeIsMovedOutOfTheWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, billing, mail := newRig(t), newFlaky(false), new(recorder)
		gate := make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		billing.next = func(context.Context, *consumer.Message) error {
			<-gate
			if billing.down.Load() {
				return errBoom
			}
			return nil
		}
		for i := range 300 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%10), "")
		}
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 8
			cfg.Buffer.Messages = 512
			cfg.Retry.Initial, cfg.Retry.Max = time.Second, time.Second
			cfg.Downstreams = map[string]consumer.Downstream{
				"billing": {Limit: consumer.Limit{Algorithm: "none"}, Breaker: consumer.Breaker{FailureRatio: 1, MinCalls: 5, Open: time.Minute, MaxOpen: time.Minute}},
				"mail":    {Limit: consumer.Limit{Algorithm: "none"}, Breaker: consumer.Breaker{Disabled: true}},
			}
		}), routes(billing, mail))
		time.Sleep(time.Second)
		if held := p.c.Snapshot().Held; held < 180 {
			t.Fatalf("%d messages are held, the test needs more", held)
		}
		billing.down.Store(true)
		open()
		time.Sleep(5 * time.Second)
		if held := p.c.Snapshot().Held; held > 150 {
			t.Errorf("%d messages wait for a downstream that is broken, in a buffer of 512", held)
		}
		billing.down.Store(false)
		eventually(t, 10*time.Minute, "everything is handled", r.nothingLeft)
	})
}

// At the start nobody knows how long runs take; that must not move anything.
func TestABurstAtTheStartIsNotMoved(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.floods(10, 60, "x")
		l := newLedger(takes(20 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 64 }), l)
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		if n := p.settledAs(consumer.OutcomeSpill); n > 0 {
			t.Errorf("%d of %d messages were moved, that would have been done in 200 ms", n, len(ids))
		}
	})
}

// 64 runs of a second each: what waits is the next for each worker, and no worker is ever idle.
func TestWorkersAreNeverIdleWhileThereIsWork(t *testing.T) {
	for _, tenants := range []int{1, 40} {
		t.Run(fmt.Sprint(tenants), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				ids := r.floods(tenants, 640/tenants, "x")
				l := newLedger(takes(time.Second))
				r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 64 }), l)
				begun := time.Now()
				eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) && r.nothingLeft() })
				if took := time.Since(begun); took > 10500*time.Millisecond {
					t.Errorf("640 runs of a second on 64 workers took %v", took)
				}
				l.wantEach(t, ids, 1, 1)
			})
		})
	}
}
