package scenario

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// quietKind is the last token of the subjects of quiet tenants.
const quietKind = "quiet"

// A crowd is tenants that publish little, at random moments, and want no more than that each
// message starts at once. It notes how long each waited since it was due.
type crowd struct {
	bed     *bed
	id      uint64 // tells its messages from those of other crowds
	tenants int
	gap     time.Duration // between two messages of all, on average

	mu    sync.Mutex // guards the fields below
	sent  []time.Time
	waits map[int]time.Duration // by the number of the message; none: it has not started
}

func (b *bed) newCrowd(tenants int, gap time.Duration) *crowd {
	return &crowd{bed: b, id: b.rig.number(), tenants: tenants, gap: gap, waits: make(map[int]time.Duration)}
}

// crowdPayload is the size of a message: whose it is, and its number.
const crowdPayload = 16

// publish goes on for span. What is late keeps the moment it was due.
func (c *crowd) publish(ctx context.Context, span time.Duration) error {
	random := c.bed.rig.Rand()
	start := time.Now()
	for due := start; due.Sub(start) < span; due = due.Add(time.Duration(random.ExpFloat64() * float64(c.gap))) {
		if wait := time.Until(due); wait > 0 {
			if err := pause(ctx, wait); err != nil {
				return err
			}
		}
		if err := c.send(due, random.IntN(c.tenants)); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return c.bed.rig.js.Conn().FlushTimeout(patience)
}

func (c *crowd) send(due time.Time, tenant int) error {
	c.mu.Lock()
	n := len(c.sent)
	c.sent = append(c.sent, due)
	c.mu.Unlock()
	payload := binary.BigEndian.AppendUint64(make([]byte, 0, crowdPayload), c.id)
	payload = binary.BigEndian.AppendUint64(payload, uint64(n))
	return c.bed.rig.js.Conn().Publish(c.bed.subject("q"+strconv.Itoa(tenant), quietKind), payload)
}

// started notes the start of a message; the first counts.
func (c *crowd) started(payload []byte, now time.Time) {
	if len(payload) != crowdPayload || binary.BigEndian.Uint64(payload) != c.id {
		return
	}
	n := int(binary.BigEndian.Uint64(payload[8:]))
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, again := c.waits[n]; !again && n < len(c.sent) {
		c.waits[n] = max(now.Sub(c.sent[n]), 0)
	}
}

// count returns how many messages it has published.
func (c *crowd) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

// waiting returns how many have not started.
func (c *crowd) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent) - len(c.waits)
}

// since returns the waits of the messages that were due at from or later. One that has not
// started has waited until now, and open says how many those are.
func (c *crowd) since(from, now time.Time) (waits []time.Duration, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, due := range c.sent {
		if due.Before(from) {
			continue
		}
		wait, started := c.waits[n]
		if !started {
			wait = now.Sub(due)
			open++
		}
		waits = append(waits, wait)
	}
	return waits, open
}

// lastStart returns when the last of those messages started that were due before t.
func (c *crowd) lastStart(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := t
	for n, due := range c.sent {
		if wait, started := c.waits[n]; started && due.Before(t) && due.Add(wait).After(last) {
			last = due.Add(wait)
		}
	}
	return last
}

// purgeQuiet removes what quiet tenants have published from the stream.
func (b *bed) purgeQuiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := b.rig.js.Stream(ctx, b.stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", b.stream, err)
	}
	return s.Purge(ctx, jetstream.WithPurgeSubject(b.subject("*", quietKind)))
}

// quietFigure is a quantile of waits, more than it if some wait still.
func quietFigure(waits []time.Duration, open int, q float64) Figure {
	f := ofDuration(quantile(waits, q))
	f.AtLeast = float64(open) > (1-q)*float64(len(waits))
	return f
}
