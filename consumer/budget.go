package consumer

import (
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// budget bounds what one lane holds and has asked for. What is asked for is
// reserved before the request is sent and stays reserved when it arrives, until it
// is settled or the request ends without it; so the bound holds at every moment,
// reconnects included.
//
// The lane's goroutine reserves; any goroutine releases.
type budget struct {
	maxMessages, maxBytes int64
	messages, bytes       atomic.Int64
	group                 *budget // that this one is a part of, or nil

	// hungry is how many free messages are waited for, of a group the least that any of its
	// lanes waits for: all are woken then. 0: nobody waits.
	hungry  atomic.Int64
	starved atomic.Bool // any free byte is waited for
	wake    func()      // called when a hungry or starved lane may go on; must not block
}

// free returns how much may be reserved now.
func (b *budget) free() (messages, bytes int64) {
	messages, bytes = b.own()
	if b.group != nil {
		m, n := b.group.free()
		messages, bytes = min(messages, m), min(bytes, n)
	}
	return messages, bytes
}

// own is free, but for what the group has left.
func (b *budget) own() (messages, bytes int64) {
	return max(b.maxMessages-b.messages.Load(), 0), max(b.maxBytes-b.bytes.Load(), 0)
}

func (b *budget) reserve(messages, bytes int64) {
	if b.group != nil {
		b.group.reserve(messages, bytes)
	}
	b.messages.Add(messages)
	b.bytes.Add(bytes)
}

// release gives back what was reserved, and wakes the lane if it waits for this.
func (b *budget) release(messages, bytes int64) {
	if b.group != nil {
		b.group.release(messages, bytes)
	}
	left := b.maxBytes - b.bytes.Add(-bytes) // first: who is woken looks at both
	if left > 0 && b.starved.Load() && b.starved.CompareAndSwap(true, false) {
		b.wake()
	}
	used := b.messages.Add(-messages)
	if want := b.hungry.Load(); want > 0 && b.maxMessages-used >= want && b.hungry.CompareAndSwap(want, 0) {
		b.wake()
	}
}

// await arranges that wake is called once at least messages are free. It reports
// false if they already are: something was released since the caller looked.
func (b *budget) await(messages int64) bool {
	messages = max(messages, 1)
	for {
		others := b.hungry.Load()
		if others > 0 && others <= messages || b.hungry.CompareAndSwap(others, messages) {
			break
		}
	}
	if b.maxMessages-b.messages.Load() < messages {
		return true
	}
	b.hungry.Store(0)
	b.wake() // others may have waited, too
	return false
}

// wanted reports whether anybody waits for what is released.
func (b *budget) wanted() bool { return b.hungry.Load() > 0 || b.starved.Load() }

// awaitBytes arranges that wake is called once any byte is free of b, or of the group that
// has none. It reports false if one already is.
func (b *budget) awaitBytes() bool {
	for ; b != nil; b = b.group {
		if _, free := b.own(); free > 0 {
			continue
		}
		b.starved.Store(true)
		if _, free := b.own(); free == 0 {
			return true
		}
		b.wake() // and whoever waited, too
	}
	return false
}

// What headers take on the heap, the most that was measured. The map of few headers takes
// up to 400 bytes, which the bound in messages bounds.
const (
	headerKeyCost   = 128 // a place in a map that just grew, and a slice of one value
	headerValueCost = 32  // one more value of the same key, in a slice that just grew
)

// headerCost is what the headers of m take beyond what was on the wire, if h is kept of
// them. The client holds their text a second time: in what it received and in h.
func headerCost(h nats.Header, m *nats.Msg) int {
	if len(h) == 0 {
		return 0
	}
	cost := m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data) + len(h)*headerKeyCost
	for _, values := range h {
		cost += (len(values) - 1) * headerValueCost
	}
	return cost
}

// heaviness is how many bytes messages take lately for each on the wire. Nothing but the
// wire can be asked for, so it is what requests are lowered by.
const (
	heaviest       = 28 // of headers that are a key of two letters each: what is expected at first
	heavinessDecay = 1.0 / 16
)

// weigh counts a message that has arrived with wire bytes as what it takes, extra more,
// and returns that.
func (l *lane) weigh(wire, extra int) int {
	if extra > 0 {
		l.budget.reserve(0, int64(extra))
	}
	h := 1 + float64(extra)/float64(max(wire, 1))
	if h < l.heaviness {
		h = l.heaviness + heavinessDecay*(h-l.heaviness)
	}
	l.heaviness = h
	if size := float64(wire + extra); l.typical == 0 {
		l.typical = size
	} else {
		l.typical += heavinessDecay * (size - l.typical)
	}
	return wire + extra
}
