package story

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

// How often the metrics are read, and shown.
const (
	sampleEvery = 250 * time.Millisecond
	showEvery   = time.Second
)

// A series is how one value went in a scene: enough to tell whether it rose and fell
// again, in constant memory.
type series struct {
	n           int
	first, last float64
	least, most float64
	rebound     float64 // the most since the least
}

func (s *series) add(v float64) {
	if s.n == 0 {
		s.first, s.least, s.most, s.rebound = v, v, v, v
	}
	if v < s.least {
		s.least, s.rebound = v, v
	}
	s.most, s.rebound = max(s.most, v), max(s.rebound, v)
	s.last = v
	s.n++
}

// A sample is all metrics at one moment.
type sample struct {
	at      time.Time
	snap    consumer.Snapshot
	refused [len(tenants)]uint64 // by the gateway, by tenant
	billing fakedownstream.Stats
	opened  int // how often the breaker has opened
	failed  int // runs of the handler
}

// overflow returns the jobs that some tenants have in their overflow.
func (s *sample) overflow(names ...string) (n float64) {
	for _, t := range s.snap.Tenants {
		if slices.Contains(names, t.Tenant) {
			n += float64(t.Overflow)
		}
	}
	return n
}

func (s *sample) queued(tenant string) int {
	for _, t := range s.snap.Tenants {
		if t.Tenant == tenant {
			return t.Queued
		}
	}
	return 0
}

// paused returns why nothing is pulled, if so.
func (s *sample) paused() consumer.PauseReason {
	for _, l := range s.snap.Lanes {
		if l.Lane == consumer.LaneMain {
			return l.Paused
		}
	}
	return ""
}

func (s *sample) billingState() consumer.DownstreamState {
	for _, d := range s.snap.Downstreams {
		if d.Downstream == downstream {
			return d
		}
	}
	return consumer.DownstreamState{}
}

func (s *sample) limit() float64 {
	if l := s.billingState().Limit; l != nil {
		return float64(l.Limit)
	}
	return 0
}

func (s *sample) breaker() consumer.BreakerState {
	if b := s.billingState().Breaker; b != nil {
		return b.State
	}
	return ""
}

func (s *sample) pulled() (n uint64) {
	for _, l := range s.snap.Lanes {
		if l.Lane == consumer.LaneMain {
			n += l.Pulled
		}
	}
	return n
}

// A track is how the metrics went in one scene.
type track struct {
	complete bool // the scene was played to its end
	begin    sample
	end      sample
	limit    series
	pulls    series // a second, from sample to sample, until the end of the scene
	overflow series // of the flooder
	others   series // overflow of the quiet tenants
}

func (t *track) add(s sample, pulls float64) {
	if t.limit.n == 0 {
		t.begin = s
	}
	t.end = s
	t.limit.add(s.limit())
	t.overflow.add(s.overflow(flooder))
	t.others.add(s.overflow(quiet()...))
	if !t.complete { // afterwards nobody sends, and there is less and less to pull
		t.pulls.add(pulls)
	}
}

// A watch reads the metrics while the scenes are played.
type watch struct {
	take func() sample
	news chan struct{} // a signal: something else is going on, show it now

	// mu guards all below. It is held to note, never while the metrics are read or shown.
	mu     sync.Mutex
	scene  Scene
	tracks [scenes]track
	last   sample
	pulls  float64 // a second, until last
}

// begin says that a scene begins. What was noted of it earlier is forgotten.
func (w *watch) begin(scene Scene) {
	s := w.take()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scene = scene
	w.tracks[scene] = track{}
	w.note(s)
}

// complete says that the scene was played to its end. What follows, until the next begins,
// still counts for what has to recover.
func (w *watch) complete() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tracks[w.scene].complete = true
}

// note requires mu.
func (w *watch) note(s sample) {
	// A scene begins between two samples: of so short a time there is no rate.
	if span := s.at.Sub(w.last.at); span > sampleEvery/2 {
		w.pulls = float64(s.pulled()-w.last.pulled()) / span.Seconds()
		w.last = s
	}
	w.tracks[w.scene].add(s, w.pulls)
}

// run samples until ctx ends, and shows one in four and what is new.
func (w *watch) run(ctx context.Context, show func(sample)) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-w.news:
			show(w.take())
			n--
			continue
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s := w.take()
		w.mu.Lock()
		w.note(s)
		w.mu.Unlock()
		if n%int(showEvery/sampleEvery) == 0 {
			show(s)
		}
	}
}

// tell has something else shown at once.
func (w *watch) tell() {
	select {
	case w.news <- struct{}{}:
	default: // that is so already
	}
}

// seen returns how the metrics went in a scene.
func (w *watch) seen(scene Scene) track {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.tracks[scene]
}
