package limiter

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// ErrCrowded is returned by Acquire when Config.Waiters wait already.
var ErrCrowded = errors.New("limiter: too many wait for a permit")

// A Limiter bounds how many calls run at once, by a limit that its algorithm moves between
// Config.Min and Config.Max. Most callers want Acquire, or TryAcquire if a call that cannot
// run now is refused or kept elsewhere. It is safe for concurrent use. It starts no
// goroutine, so there is nothing to close.
type Limiter struct {
	epoch    time.Time // times are counted from here
	onChange func(Change)
	onReady  func()

	// mu guards all below. It is held for some tens of nanoseconds, and never while a
	// callback runs or somebody waits. Whenever it is free: as long as somebody is in the
	// queue, no permit is free, so who finds one free overtakes nobody.
	mu       sync.Mutex
	limit    int // math.MaxInt for None
	inflight int
	last     int64 // when somebody came last
	fullAt   int64 // when the limit was last reached
	wanted   bool  // a permit was refused, and OnReady has not been called since
	queue    queue
	counts   counts
	slots    slots
	learner  learner
	cfg      Config
	moved    Change
	changes  []Change // not told yet
	telling  bool     // somebody tells them
}

// New returns a Limiter, or all that is wrong with c.
func New(c Config) (*Limiter, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limiter: New: %w", err)
	}
	l := &Limiter{epoch: time.Now(), fullAt: math.MinInt64, onChange: c.OnChange, onReady: c.OnReady, cfg: c}
	l.limit = c.Initial
	if c.Algorithm == None {
		l.limit = math.MaxInt
	}
	l.learner.begin(newAlgorithm(c), float64(c.Initial), l.epoch.UnixNano(), 0)
	l.moved = Change{New: l.limit, Why: Begun, At: l.epoch}
	return l, nil
}

func (l *Limiter) now() int64 { return int64(time.Since(l.epoch)) }

func (l *Limiter) at(t time.Time) int64 { return int64(t.Sub(l.epoch)) }

// TryAcquire returns a permit if one is free that nobody waits for, at once in any case.
func (l *Limiter) TryAcquire() (Permit, bool) { return l.tryAcquire(l.now()) }

// TryAcquireAt is TryAcquire at a time that the caller names. Whoever names times should
// do so throughout: the Limiter knows one clock, and a time that falls, or jumps ahead by
// more than a quarter of an hour, makes it forget the measurement that is under way.
func (l *Limiter) TryAcquireAt(now time.Time) (Permit, bool) { return l.tryAcquire(l.at(now)) }

func (l *Limiter) tryAcquire(now int64) (Permit, bool) {
	l.mu.Lock()
	if l.inflight >= l.limit {
		l.counts.refused++
		l.wanted = l.onReady != nil
		l.mu.Unlock()
		return Permit{}, false
	}
	p := l.give(now)
	l.mu.Unlock()
	return p, true
}

// give requires mu and that there is room.
func (l *Limiter) give(now int64) Permit {
	l.touch(now)
	if l.inflight++; l.inflight >= l.limit {
		l.fullAt = now
	}
	id, use := l.slots.take(l.inflight)
	return Permit{l: l, use: use, start: now, slot: id}
}

// Ready reports whether TryAcquire would succeed now. It is for a scheduler that offers a
// limiter work only while there is room, and it forgets no wake-up:
//
//	after a TryAcquire or a Ready that returned false, OnReady is called
//	at least once, as soon as a permit is free and nobody waits for it
//
// So the scheduler that closes a class of work for lack of permits asks once more after it
// has closed it:
//
//	sched.SetOpen("billing", false)
//	if lim.Ready() {
//		sched.SetOpen("billing", true)
//	}
//
// and OnReady does SetOpen("billing", true). A permit that was freed before the question is
// seen by it, and one freed later calls OnReady after the class was closed. OnReady may
// come when somebody else has taken the permit already; then the next refusal arms it again.
func (l *Limiter) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ready := l.inflight < l.limit
	if !ready {
		l.wanted = l.onReady != nil
	}
	return ready
}

func (l *Limiter) release(p Permit, now int64, o Outcome) {
	l.mu.Lock()
	inflight, ok := l.slots.giveBack(p.slot, p.use)
	if !ok {
		l.mu.Unlock()
		return
	}
	l.touch(now)
	if l.inflight >= l.limit {
		l.fullAt = now
	}
	l.inflight--
	l.counts.add(o)
	if o == Success || o == Drop {
		s := sample{start: p.start, end: now, inflight: inflight, full: l.fullAt >= p.start, drop: o == Drop}
		if l.learner.learn(s, l.cfg.Brake) {
			l.move(l.learner.plan.limit, l.learner.plan.why, now)
		}
	}
	if l.queue.n == 0 && !l.wanted && len(l.changes) == 0 {
		l.mu.Unlock()
		return
	}
	l.unlock(now)
}

// aJump is how long nobody may come before the time between is not believed.
const aJump = int64(15 * time.Minute)

// touch notices that the clock was set: what is being measured is forgotten. It requires mu.
func (l *Limiter) touch(now int64) {
	if d := now - l.last; d < -int64(time.Second) || d > aJump {
		l.learner.restart(now)
		l.fullAt = math.MinInt64
	}
	l.last = now
}

// move sets the limit. It requires mu.
func (l *Limiter) move(to float64, why Reason, now int64) {
	n := min(max(int(math.Round(to)), l.cfg.Min), l.cfg.Max)
	if l.cfg.Algorithm == None {
		n = math.MaxInt
	}
	if n == l.limit {
		return
	}
	l.moved = Change{Old: l.limit, New: n, Why: why, At: l.epoch.Add(time.Duration(now))}
	l.limit = n
	if l.onChange != nil {
		l.changes = append(l.changes, l.moved)
	}
}

// unlock hands what is free to those who wait, gives up mu, and tells what there is to tell.
func (l *Limiter) unlock(now int64) {
	for l.queue.n > 0 && l.inflight < l.limit {
		l.queue.pop().permit <- l.give(now) // it has room for the one permit
	}
	ready := l.wanted && l.inflight < l.limit
	if ready {
		l.wanted = false
	}
	tell := len(l.changes) > 0 && !l.telling
	if tell {
		l.telling = true
	}
	l.mu.Unlock()
	if tell {
		defer l.tell() // even if OnReady panics: nobody else will
	}
	if ready { // first: a panic of OnChange, or a slow one, keeps nobody waiting
		l.onReady()
	}
}

// tell calls OnChange until there is nothing more to tell. Changes that come meanwhile are
// appended by others and told here, so that they are told in order.
func (l *Limiter) tell() {
	done := false
	defer func() {
		if !done { // OnChange panicked
			l.mu.Lock()
			l.telling = false
			l.mu.Unlock()
		}
	}()
	for {
		l.mu.Lock()
		if len(l.changes) == 0 {
			l.telling = false
			l.mu.Unlock()
			done = true
			return
		}
		c := l.changes[0]
		l.changes = l.changes[1:]
		l.mu.Unlock()
		l.onChange(c)
	}
}

// Reconfigure makes the Limiter work by c from now on, or returns all that is wrong with c
// and changes nothing. Permits that are out stay valid, and those who wait keep their
// places. The limit stays as far as the new bounds allow, unless c is Fixed or None, and
// the same algorithm keeps what it has learned. The callbacks of c are not used: those of
// New stay.
func (l *Limiter) Reconfigure(c Config) error { return l.reconfigure(c, l.now()) }

// ReconfigureAt is Reconfigure at a time that the caller names.
func (l *Limiter) ReconfigureAt(now time.Time, c Config) error { return l.reconfigure(c, l.at(now)) }

func (l *Limiter) reconfigure(c Config, now int64) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("limiter: Reconfigure: %w", err)
	}
	l.mu.Lock()
	l.touch(now)
	old := l.cfg
	l.cfg = c
	limit := l.learner.level()
	if old.Algorithm == None || c.Algorithm == Fixed {
		limit = float64(c.Initial)
	}
	limit = min(max(limit, float64(c.Min)), float64(c.Max))
	if c.Algorithm != old.Algorithm {
		l.learner.begin(newAlgorithm(c), limit, l.epoch.UnixNano(), now)
	} else {
		l.learner.reconfigure(c, limit, now)
	}
	l.move(l.learner.plan.limit, Reconfigured, now)
	l.unlock(now)
	return nil
}
