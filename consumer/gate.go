package consumer

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// A gate says to the scheduler whether messages for one downstream may start: as many at
// once as the limiter allows, none while the breaker is open, while the downstream rests or
// until the rate has a token, and one by one where each must be asked for, which are probes
// of a breaker and tokens of a rate.
//
// It decides by level, not by edge. Whatever may have changed something calls review, which
// looks at everything and sets everything; what will change by time alone is awaited by an
// alarm. So no wake-up can be lost, as long as these call it: the limiter when its limit
// moves, the breaker when its state does, who begins or ends a rest, who took a message that
// started one by one or could not start it, who gives permits back while the gate is not
// open, and the alarm.
type gate struct {
	c *Consumer
	d *downstreamState

	reviews atomic.Int64 // asked for since the last one was complete
	due     time.Time    // when the alarm goes off; of whoever reviews
	rang    atomic.Bool  // an alarm has gone off
	access  atomic.Int32 // what the scheduler was last told

	mu    sync.Mutex // guards shown, and is held for no more than a copy of it
	shown standing
}

// access is how messages may start.
type access int32

const (
	accessAll    access = iota
	accessSingle        // one, and then the gate is reviewed
	accessNone
)

// obstacle is what stands in the way of a downstream.
type obstacle string

const (
	byBreaker obstacle = "breaker"
	byRest    obstacle = "rest"
	byRate    obstacle = "rate"
)

// standing is what a review has found.
type standing struct {
	access access
	by     obstacle // "" if messages may simply start
	since  time.Time
	until  time.Time // when it is worth another look; zero: not by time alone
}

// halted reports that the downstream takes nothing, or next to nothing, for a while.
func (s standing) halted() bool { return s.by == byBreaker || s.by == byRest }

// facts are what a standing follows from.
type facts struct {
	rest    time.Time // end of the present rest
	breaker breaker.State
	admits  bool      // the breaker would
	until   time.Time // if it would not: when to ask again
	rated   bool
	token   time.Time // when the rate has one
}

// stand is the decision.
func (f facts) stand(now time.Time) standing {
	switch {
	case now.Before(f.rest):
		return standing{access: accessNone, by: byRest, until: f.rest}
	case !f.admits:
		return standing{access: accessNone, by: byBreaker, until: f.until}
	case f.rated && now.Before(f.token):
		return standing{access: accessNone, by: byRate, until: f.token}
	case f.breaker != breaker.Closed:
		return standing{access: accessSingle, by: byBreaker}
	case f.rated:
		return standing{access: accessSingle}
	}
	return standing{access: accessAll}
}

// review looks at everything, and tells the scheduler. If somebody else is at it, that one
// looks once more.
func (g *gate) review() {
	if g.reviews.Add(1) > 1 {
		return
	}
	for asked := int64(1); ; asked = g.reviews.Load() {
		g.look(time.Now())
		if g.reviews.CompareAndSwap(asked, 0) {
			return
		}
	}
}

// look is one review.
func (g *gate) look(now time.Time) {
	s := g.d.facts(now).stand(now)
	limit := 0
	if l := g.d.guards.Load().limiter; l != nil {
		limit = l.Limit()
	}
	if limit >= g.c.live.Load().Workers {
		limit = 0 // there is always a permit: who waits, waits for a worker
	}
	g.c.queues.SetLimit(g.d.name, limit)
	g.access.Store(int32(s.access))
	switch s.access {
	case accessAll:
		g.c.queues.SetOpen(g.d.name, true)
	case accessSingle:
		g.c.queues.OpenFor(g.d.name, 1)
	case accessNone:
		g.c.queues.SetOpen(g.d.name, false)
	}
	g.await(s, now)
	g.show(s, now)
}

// await sets an alarm, unless one goes off in time. One that goes off too early does no harm.
func (g *gate) await(s standing, now time.Time) {
	if g.rang.Swap(false) {
		g.due = time.Time{}
	}
	if s.until.IsZero() || !g.due.IsZero() && !s.until.Before(g.due) {
		return
	}
	g.due = s.until
	g.c.alarms.after(max(0, s.until.Sub(now)), func() {
		g.rang.Store(true)
		g.review()
	})
}

// show lets others know, and the lanes if that matters to them.
func (g *gate) show(s standing, now time.Time) {
	g.mu.Lock()
	was := g.shown
	s.since = was.since
	if was.by != s.by {
		s.since = now
	}
	g.shown = s
	g.mu.Unlock()
	if s.halted() != was.halted() {
		if s.halted() {
			g.c.halted.Add(1)
		} else {
			g.c.halted.Add(-1)
		}
		g.c.wakeLanes()
	} else if s.halted() && s.access != was.access {
		g.c.wakeLanes()
	}
}

func (g *gate) standing() standing {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shown
}

// open reports that nothing needs to be reviewed when a message starts or ends.
func (g *gate) open() bool { return access(g.access.Load()) == accessAll }
