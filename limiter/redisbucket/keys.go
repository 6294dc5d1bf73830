package redisbucket

import (
	"math"
	"sync"
)

// Keys are what this process remembers, bounded in number.
type keys struct {
	most int

	// mu guards what follows. The lock of an entry may be taken while it is held, never the
	// other way round.
	mu     sync.RWMutex
	byKey  map[string]*entry
	ring   []*entry // all of them, in no order
	hand   int      // in ring: where to look for one that can be forgotten
	closed bool
}

func (k *keys) init(most int) { k.most, k.byKey = most, make(map[string]*entry) }

// get returns nil if nothing is known of key.
func (k *keys) get(key string) *entry {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.byKey[key]
}

// add returns e, or the entry that was there first. For a key too many it forgets one that
// was not used for a while, or any that has nobody who waits.
func (k *keys) add(e *entry, now int64, l *Limiter) (*entry, error) {
	defer l.link.tell()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, ErrClosed
	}
	if there := k.byKey[e.key]; there != nil {
		return there, nil
	}
	if len(k.ring) >= k.most && !k.evict(now-l.life, l) && !k.evict(math.MaxInt64, l) {
		return nil, ErrKeys
	}
	e.slot = len(k.ring)
	k.ring = append(k.ring, e)
	k.byKey[e.key] = e
	return e, nil
}

// evict requires mu. It looks at a few entries only.
func (k *keys) evict(since int64, l *Limiter) bool {
	for range min(len(k.ring), 64) {
		k.hand = (k.hand + 1) % len(k.ring)
		if k.forget(k.ring[k.hand], since, l) {
			return true
		}
	}
	return false
}

// forget requires mu.
func (k *keys) forget(e *entry, since int64, l *Limiter) bool {
	if !e.forget(since) {
		return false
	}
	l.totals.add(e.admitted, e.withoutRedis) // nobody changes them any more
	last := k.ring[len(k.ring)-1]
	k.ring[e.slot], last.slot = last, e.slot
	k.ring[len(k.ring)-1] = nil
	k.ring = k.ring[:len(k.ring)-1]
	delete(k.byKey, e.key)
	return true
}

// sweep forgets what was not used since then.
func (k *keys) sweep(since int64, l *Limiter) {
	k.each(func(e *entry) {
		if !e.idle(since) {
			return
		}
		k.mu.Lock()
		if k.byKey[e.key] == e {
			k.forget(e, since, l)
		}
		k.mu.Unlock()
	})
	l.link.tell()
}

// idle is forget without forgetting.
func (e *entry) idle(since int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lastUse <= since
}

// each calls f for all entries, without a lock. What comes and goes meanwhile may be missed.
func (k *keys) each(f func(*entry)) {
	var some [256]*entry
	for from := 0; ; from += len(some) {
		k.mu.RLock()
		n := 0
		if from < len(k.ring) {
			n = copy(some[:], k.ring[from:])
		}
		k.mu.RUnlock()
		for _, e := range some[:n] {
			f(e)
		}
		if n < len(some) {
			return
		}
	}
}

// close returns all entries, which are the last.
func (k *keys) close() []*entry {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	return append([]*entry(nil), k.ring...)
}

// Totals are what forgotten entries have admitted.
type totals struct {
	mu                     sync.Mutex // guards both
	admitted, withoutRedis uint64
}

func (t *totals) add(admitted, withoutRedis uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.admitted += admitted
	t.withoutRedis += withoutRedis
}

func (t *totals) load() (admitted, withoutRedis uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.admitted, t.withoutRedis
}
