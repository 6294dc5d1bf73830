package tenants

import "time"

// A sleeper is one caller of Next that waits.
type sleeper struct {
	wake  chan struct{} // holds at most the one signal that take has promised
	place int           // in sleepers.waiting; -1: woken, or not asleep
	next  *sleeper      // in woken or spare
}

// Sleepers are the callers of Next that wait. The last to lie down is the first to be
// woken, as its stack is the warmest. One is roused at a time, and rouses the next once
// it is up and has taken an item, so that a push never wakes more than it can use.
//
// As long as something may run and somebody waits, somebody is rousing: who makes
// something runnable calls wake, and so does who was roused, whatever became of it.
type sleepers struct {
	waiting []*sleeper
	rousing bool
	woken   *sleeper // to be signalled at unlock
	spare   *sleeper
}

func (s *sleepers) lieDown() *sleeper {
	w := s.spare
	if w != nil {
		s.spare, w.next = w.next, nil
	} else {
		w = &sleeper{wake: make(chan struct{}, 1)}
	}
	w.place = len(s.waiting)
	s.waiting = append(s.waiting, w)
	return w
}

// rouse requires that somebody waits.
func (s *sleepers) rouse() {
	w := s.waiting[len(s.waiting)-1]
	s.waiting[len(s.waiting)-1] = nil
	s.waiting = s.waiting[:len(s.waiting)-1]
	w.place, w.next = -1, s.woken
	s.woken, s.rousing = w, true
}

func (s *sleepers) rouseAll() {
	for len(s.waiting) > 0 {
		s.rouse()
	}
}

// take returns those to be signalled as soon as the lock is given up.
func (s *sleepers) take() *sleeper {
	w := s.woken
	s.woken = nil
	return w
}

// signal must be called without the lock, once for what take has returned.
func (s *sleeper) signal() {
	for w := s; w != nil; {
		next := w.next // w may lie down again as soon as it is signalled
		w.next = nil
		w.wake <- struct{}{}
		w = next
	}
}

// up is for w, which has had its signal.
func (s *sleepers) up(w *sleeper) {
	s.rousing = false
	w.next, s.spare = s.spare, w
}

// leave lets w, which has had no signal, go. It returns false if the signal is on its way.
func (s *sleepers) leave(w *sleeper) bool {
	if w.place < 0 {
		return false
	}
	last := s.waiting[len(s.waiting)-1]
	s.waiting[w.place], last.place = last, w.place
	s.waiting[len(s.waiting)-1] = nil
	s.waiting = s.waiting[:len(s.waiting)-1]
	w.place = -1
	w.next, s.spare = s.spare, w
	return true
}

// wake rouses a caller of Next if there is something for it. It requires mu.
func (q *Queues[T]) wake() {
	if len(q.sleepers.waiting) > 0 && !q.sleepers.rousing && q.s.runnable() {
		q.sleepers.rouse()
	}
}

// An alarm is the one timer of Queues.
type alarm struct {
	timer *time.Timer
	due   int64 // when it goes off; 0: not set
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.due = 0
}

// setAlarm makes the alarm go off when the next gate opens that somebody waits for, or
// the next pledge comes due. It requires mu.
func (q *Queues[T]) setAlarm(now int64) {
	due, ok := q.s.nextEvent(len(q.sleepers.waiting) > 0)
	if !ok || q.closed || q.alarm.due != 0 && q.alarm.due <= due {
		return
	}
	q.alarm.due = due
	in := time.Duration(max(0, due-now))
	if q.alarm.timer == nil {
		q.alarm.timer = time.AfterFunc(in, q.ring)
	} else {
		q.alarm.timer.Reset(in)
	}
}

// ring is called by the alarm. It does what was due then: the clock that the callers of
// the methods with a time go by need not be this machine's.
func (q *Queues[T]) ring() {
	q.mu.Lock()
	due := q.alarm.due
	q.alarm.due = 0
	if !q.closed && due != 0 {
		q.s.ungate(due)
		q.s.reviewDue(due)
		q.wake()
		q.setAlarm(due)
	}
	q.unlock()
}

// nextEvent returns when something changes by time alone.
func (s *scheduler) nextEvent(awaited bool) (due int64, ok bool) {
	if awaited {
		due, ok = s.delayed.sooner(due, ok)
		due, ok = s.dry.sooner(due, ok)
	}
	return s.pledges.sooner(due, ok)
}
