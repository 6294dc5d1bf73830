package consumer_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

func TestAFloodTakesHalfOfTheOverflowAndTheBurstOfAnotherSpillsAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const limit = 1 << 20
		r := newRig(t)
		var log said
		g := newGate(t)
		l := newLedger(func(ctx context.Context, m *consumer.Message) error {
			if m.Tenant == "flood" {
				return g.wait(ctx, m)
			}
			return takes(5*time.Millisecond)(ctx, m)
		})
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.MaxInFlight, cfg.Tenants.Queue = 8, 2, 40
			cfg.Overflow.MaxBytes = limit
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		}), l)
		time.Sleep(time.Second)
		body := strings.Repeat("x", 1000)
		var ids []string
		publish := func(tenant string, n int) {
			for i := range n {
				id := fmt.Sprintf("%s-%d", tenant, i)
				ids = append(ids, id)
				r.publish("jobs."+tenant+".x", id+" "+body)
			}
		}
		publish("flood", 1500) // half as much again as the stream takes
		time.Sleep(20 * time.Second)
		info := must[jetstream.Stream](t)(r.js.Stream(t.Context(), "JOBS_OVERFLOW")).CachedInfo().State
		if info.Bytes < limit*2/5 || info.Bytes > limit*11/20 {
			t.Errorf("a flood has %d bytes in %d copies of an overflow of %d, want about half", info.Bytes, info.Msgs, limit)
		}
		if p.settledAs(consumer.OutcomeDelay) == 0 {
			t.Error("nothing was delayed")
		}
		if n := strings.Count(log.String(), "the tenant has its share"); n == 0 || n > 20 {
			t.Errorf("the log says %d times that the tenant has its share", n)
		}

		delayed := p.settledAs(consumer.OutcomeDelay)
		before := p.settledAs(consumer.OutcomeSpill)
		publish("burst", 200)
		eventually(t, 10*time.Second, "the burst is handled", func() bool { return l.handled() >= 200 })
		if n := p.settledAs(consumer.OutcomeSpill) - before; n < 100 {
			t.Errorf("%d of a burst of 200 spilled, %d more of the flood were delayed", n, p.settledAs(consumer.OutcomeDelay)-delayed)
		}
		g.release()
		eventually(t, 10*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, 5*time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
		if n := p.settledAs(consumer.OutcomeSuspect); n > 0 {
			t.Errorf("%d became suspects, for what was done to them", n)
		}
	})
}

// said is what was logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
