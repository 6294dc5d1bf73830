package consumer

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// pull sends as many requests as the lane may.
func (l *lane) pull(now time.Time) {
	still := l.standstill()
	if still == "" && !l.slotFree() {
		return
	}
	reason := l.blocked(now)
	switch {
	case reason != "":
	case still != "":
		reason = still
		l.trickle(now)
	default:
		reason = l.request(now)
	}
	if l.flow != nil {
		l.c.spillway.asked(l.flow)
	}
	l.state.mu.Lock()
	l.state.paused = reason
	l.state.mu.Unlock()
}

func (l *lane) slotFree() bool {
	for i := range l.slots {
		if l.slots[i].messages == 0 {
			return true
		}
	}
	return false
}

// blocked returns why nothing may be asked for, or "".
func (l *lane) blocked(now time.Time) PauseReason {
	switch {
	case l.broken:
		return PauseConsumer
	case !l.nc.IsConnected():
		return PauseDisconnected
	case now.Before(l.notUntil):
		return PauseBackoff
	case l.kind == LaneSuspect:
		if !l.c.workerFor(now) {
			return PauseWorkers
		}
	case l.kind == LaneOverflow:
		_, reason := l.c.spillway.room(l.flow)
		return reason
	case l.c.mover.congested():
		return PauseMoves
	case l.kind == LaneMain && l.c.queues.Holding():
		return PauseHold
	}
	return ""
}

// request fills the free slots, and returns why it could not, or "".
func (l *lane) request(now time.Time) PauseReason {
	for i := range l.slots {
		s := &l.slots[i]
		if s.messages > 0 {
			continue
		}
		batch, bytes := l.reserve(maxBatch)
		if batch == 0 {
			if l.state.requested.Load() > 0 {
				return "" // something is in flight
			}
			return PauseBuffer
		}
		l.send(s, batch, bytes, now)
		if l.needs > 0 || l.kind == LaneSuspect || l.kind == LaneOverflow {
			return "" // one at a time
		}
	}
	return ""
}

// reserve takes the credit of the next request, of most messages at most. What lanes share is
// looked at and taken by one of them at a time, or they would take it twice.
func (l *lane) reserve(most int) (batch int, bytes int64) {
	if l.budget.group != nil {
		l.c.reserving.Lock()
		defer l.c.reserving.Unlock()
	}
	credit := l.credit
	if l.kind == LaneOverflow {
		credit = l.overflowCredit
	}
	batch, bytes = credit()
	batch = min(batch, most)
	if batch > 0 {
		l.budget.reserve(int64(batch), bytes)
	}
	return batch, bytes
}

// credit returns what the next request may ask for. A batch of 0 means none; bytes
// of 0 means that the one message asked for may have any size.
func (l *lane) credit() (batch int, bytes int64) {
	messages, free := l.free()
	requested := l.state.requested.Load()
	if messages == 0 {
		return l.waitFor(1)
	}
	transit := l.transit()
	room := min(messages, transit-requested)
	half := max(transit/slotsPerLane, 1)
	if requested == 0 { // the server fills both in turn: equal ones would end together, and leave it waiting
		half = max(half/2, 1)
	}
	batch = int(min(room, half, int64(l.limits.batch)))
	if batch <= 0 || requested > 0 && int64(batch) < min(half/2, goodBatch) {
		return 0, 0 // what is in flight wakes the lane when it comes
	}
	if floor := min(minBatch, l.budget.maxMessages/2, int64(l.limits.batch)); int64(batch) < floor && l.worthWaiting(floor-messages) {
		return l.waitFor(floor)
	}
	if l.needs > 0 {
		return l.creditForLarge(free)
	}
	bytes = free / slotsPerLane
	if bytes < l.budget.maxBytes/16 && l.budget.messages.Load() > 0 {
		return l.waitFor(messages + 1) // until something is settled
	}
	return batch, l.wireBytes(bytes)
}

// wireBytes is what a request may ask for so that it takes no more than so many bytes here.
func (l *lane) wireBytes(bytes int64) int64 {
	return max(min(int64(float64(bytes)/l.heaviness), l.limits.bytes), 1)
}

// transit is how much the lane may have asked for at once. What comes may all be one
// tenant's, so the main lane asks for what the fullest queue still takes, and for at
// least what one takes above its high watermark. If what came lately was of many
// tenants, no queue gets all of it, and more can be asked for.
func (l *lane) transit() int64 {
	if l.kind != LaneMain {
		return l.budget.maxMessages
	}
	if l.c.spillway.active.Load() > 0 { // what passes a full queue by needs no room in it
		return min(slotsPerLane*maxBatch, l.budget.maxMessages)
	}
	p := &l.c.live.Load().Tenants
	slack := max(p.Queue-int(float64(p.Queue)*p.High), 2*minBatch)
	room := float64(p.Queue - min(l.c.queues.Deepest(), l.c.queues.Len()))
	spread := int(room / math.Sqrt(l.mix.sameness()))
	return min(int64(max(spread, slack)), slotsPerLane*maxBatch, l.budget.maxMessages)
}

// worthWaiting reports whether a small request can wait until more messages are
// settled: when there is less queued than that, the workers would run dry meanwhile.
func (l *lane) worthWaiting(more int64) bool {
	return more > 0 && int64(l.c.queues.Len()) >= more && l.c.idleWorkers() == 0
}

// creditForLarge is the credit after a request whose max_bytes, needs, was too small for
// the next message: one message of all the bytes that are free, and if those are no more
// than needs, of any size. That passes the bound by one message, as documented; to wait
// until there is room would keep everybody waiting for whatever is running.
func (l *lane) creditForLarge(free int64) (int, int64) {
	most := int64(maxLargeBytes)
	if l.limits.bytes < maxPullBytes { // the consumer's own limit, which we have met
		most = l.limits.bytes
	}
	switch bytes := min(free, most); {
	case bytes > l.needs:
		return 1, bytes
	case free > 0:
		return 1, 0
	default:
		messages, _ := l.free()
		return l.waitFor(messages + 1) // until something is settled
	}
}

// free is what the lane may reserve.
func (l *lane) free() (messages, bytes int64) {
	messages, bytes = l.budget.free()
	if l.kind == LaneMain {
		m, b := l.c.spillway.reserved()
		messages, bytes = max(messages-m, 0), max(bytes-b, 0)
	}
	return messages, bytes
}

// waitFor makes the lane wake when so many messages are free.
func (l *lane) waitFor(messages int64) (int, int64) {
	b := &l.budget
	if l.kind == LaneMain { // what it lacks, others may have
		reserved, _ := l.c.spillway.reserved()
		b, messages = b.group, min(messages+reserved, b.group.maxMessages)
	}
	l.awaiting(b.await(messages))
	return 0, 0
}

// awaiting is called when the lane waits for what is released, or, with false, need not.
func (l *lane) awaiting(waits bool) {
	if waits {
		l.c.outbox.hurry()
	} else {
		l.wake()
	}
}

// send asks for batch messages of bytes bytes, which are reserved, on s.
func (l *lane) send(s *slot, batch int, bytes int64, now time.Time) {
	if l.flow != nil {
		s.asked = l.c.spillway.confirmedBy(l.flow)
	}
	s.number++
	s.messages, s.batch, s.bytes = batch, batch, bytes
	s.sentAt, s.alive, s.expires = now, now, l.limits.expires
	l.state.requested.Add(int64(batch))
	l.state.batch.Store(int64(batch))
	inbox := s.inbox + strconv.FormatUint(s.number, 10)
	if err := l.nc.PublishRequest(l.subject, inbox, l.wireRequest(batch, bytes)); err != nil {
		l.over(s)
		l.fail(err.Error(), now)
	}
}

// heartbeat is how often a parked request must show a sign of life. The server wants
// it to be at most half of expires.
func heartbeat(expires time.Duration) time.Duration { return expires / 3 }

// expire gives up requests that show no sign of life. Those of a lost connection are
// given up when there is another.
func (l *lane) expire(now time.Time) {
	if !l.nc.IsConnected() {
		return
	}
	for i := range l.slots {
		s := &l.slots[i]
		if s.messages > 0 && now.Sub(s.alive) > 2*heartbeat(s.expires)+time.Second {
			l.drop(s, now)
			l.fail("no heartbeat", now)
		}
	}
	for i := range l.dropped {
		if d := &l.dropped[i]; now.Sub(d.since) > 2*markerTimeout {
			l.mark(d.marker)
			d.since = now
		}
	}
}

// status is what the server says about the request of s.
func (l *lane) status(s *slot, m *nats.Msg, now time.Time) {
	status, text := readStatus(m)
	if status == statusHeartbeat {
		l.alive()
		return
	}
	if m.Subject != s.inbox+strconv.FormatUint(s.number, 10) || s.messages == 0 {
		return // of a request that is over already
	}
	bytes, asked, untouched := s.bytes, s.asked, s.messages == s.batch
	l.over(s)
	switch status {
	case statusDone:
		l.alive()
	case statusNothing:
		l.alive()
		if l.flow != nil {
			l.c.spillway.empty(l.flow, asked)
		}
	case statusTooSmall:
		l.alive()
		if untouched { // otherwise a fresh request may be large enough
			l.needs = max(l.needs, bytes)
		}
	case statusMoved, statusBusy:
		l.fail(text, now)
	case statusLimit:
		l.clamp(text, now)
	case statusGone:
		l.suspended.Store(true)
		l.fail(text, now)
		l.repair(text)
	case statusIncompatible:
		l.repair(text)
	default:
		l.fail(text, now)
	}
}

// alive notes that the consumer answers.
func (l *lane) alive() {
	if l.failures == 0 {
		return
	}
	l.failures = 0
	l.state.mu.Lock()
	l.state.stuckSince, l.state.lastError = time.Time{}, ""
	l.state.mu.Unlock()
}

// fail notes a lost request. The next one waits, longer each time, and never for
// the same time as in another process.
func (l *lane) fail(text string, now time.Time) {
	l.failures++
	backoff := min(resumeMin<<min(l.failures, 10), resumeMax)
	backoff = backoff/2 + rand.N(backoff)
	l.notUntil = now.Add(backoff)
	l.c.alarms.after(backoff, l.wake)
	l.state.resets.Add(1)
	l.state.mu.Lock()
	l.state.lastError = text
	if l.state.stuckSince.IsZero() {
		l.state.stuckSince = now
	}
	l.state.mu.Unlock()
	l.c.logs.pull.warn("a pull request was lost", "lane", l.kind, "consumer", l.consumer, "reason", text, "again_in", backoff)
	l.c.observers.laneReset(LaneReset{Lane: l.kind, Consumer: l.consumer, Err: &PullError{Lane: l.kind, Consumer: l.consumer, Text: text}})
	if l.failures%3 == 0 {
		l.repair(text)
	}
}

// clamp lowers what is asked for to what the consumer allows.
func (l *lane) clamp(text string, now time.Time) {
	limit, value := readLimit(text)
	switch limit {
	case limitBatch:
		l.limits.batch = int(clampTo(value, int64(l.limits.batch)))
	case limitBytes:
		l.limits.bytes = clampTo(value, l.limits.bytes)
	case limitExpires:
		l.limits.expires = time.Duration(clampTo(value, int64(l.limits.expires)))
	}
	l.c.log.Warn("the consumer allows smaller pull requests than Spillway would send; it asks for less now",
		"lane", l.kind, "consumer", l.consumer, "limit", text)
	if value <= 0 {
		l.fail(text, now)
	}
}

// clampTo returns limit, or half of what was asked for if the limit is not known.
func clampTo(limit, asked int64) int64 {
	if limit > 0 {
		return min(limit, asked)
	}
	return max(asked/2, 1)
}

// repair hands the lane to the keeper and stops pulling until it is mended.
func (l *lane) repair(reason string) {
	if l.broken {
		return
	}
	l.broken = true
	l.c.keeper.repair(l, reason)
}

// mend goes on after a repair. Whether that helped, the next answer will tell: until
// then the failures count, and the backoff grows.
func (l *lane) mend() {
	l.broken = false
	l.resume(true) // again, if a late answer to an old request has suspended it meanwhile
	now := time.Now()
	for i := range l.slots {
		if l.slots[i].messages > 0 {
			l.drop(&l.slots[i], now)
		}
	}
}

// resume lets settlements go on, and decides on those that were kept: they are for the
// consumer that delivered the messages.
func (l *lane) resume(same bool) {
	if !l.suspended.Swap(false) {
		return
	}
	decision := verbForgo
	if same {
		decision = verbResume
	}
	l.c.outbox.put(note{verb: decision, lane: l})
}
