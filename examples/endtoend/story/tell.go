package story

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// A teller makes moments of samples: it knows what is going on, and what was shown before.
type teller struct {
	begun  time.Time
	page   string
	length time.Duration // of a scene
	opened atomic.Int64  // how often the breaker has opened

	// mu guards what is going on.
	mu    sync.Mutex
	scene Scene
	since time.Time // when it began
	part  Part

	// What was shown last; of the goroutine that shows.
	shown  Moment
	last   sample
	counts [len(tenants)]counts
}

// observer counts what the snapshot does not have.
func (t *teller) observer() consumer.Observer {
	return consumer.Observer{BreakerTurned: func(e consumer.BreakerTurned) {
		if e.To == consumer.BreakerOpen {
			t.opened.Add(1)
		}
	}}
}

// begin says that a scene begins, enter that another part of the story does.
func (t *teller) begin(s Scene) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scene, t.since, t.part = s, time.Now(), Playing
}

func (t *teller) enter(p Part) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = p
}

// moment returns what is to be shown of s. Figures stay what they were if they were shown
// a moment ago, and only what is going on has changed.
func (t *teller) moment(s sample, b *book) Moment {
	if t.last.at.IsZero() || s.at.Sub(t.last.at) > showEvery/2 {
		now := b.look()
		t.shown = t.figures(&s, &now)
		t.last, t.counts = s, now
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.shown
	m.Elapsed, m.Scene, m.In, m.Part = s.at.Sub(t.begun), t.scene, max(0, s.at.Sub(t.since)), t.part
	return m
}

func (t *teller) figures(s *sample, now *[len(tenants)]counts) Moment {
	m := Moment{
		Length: t.length, Page: t.page,
		Paused: s.paused(), Running: s.snap.InFlight, Workers: s.snap.Workers,
		Limit: int(s.limit()), Breaker: s.breaker(), Inside: s.billing.Inside, Failed: s.failed,
	}
	rate := func(now, before int) float64 {
		if t.last.at.IsZero() {
			return 0
		}
		return float64(now-before) / s.at.Sub(t.last.at).Seconds()
	}
	m.Pulled = rate(int(s.pulled()), int(t.last.pulled()))
	m.Served = rate(int(s.billing.Served), int(t.last.billing.Served))
	for i := range now {
		c, before := &now[i], &t.counts[i]
		m.Tenants = append(m.Tenants, TenantMoment{
			Name: tenants[i], Sent: rate(c.sent, before.sent), Refused: rate(c.refused, before.refused), Done: rate(c.done, before.done),
			Queued: s.queued(tenants[i]), Overflow: uint64(s.overflow(tenants[i])),
			P50: c.recent.quantile(0.5), P99: c.recent.quantile(0.99),
		})
		m.Accepted += c.accepted
		m.Done += c.done
	}
	return m
}
