package ops

import (
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// Bounds of what is measured of tenants. The window is what percentiles of a tenant are of:
// between half of it and the whole.
const (
	waitTenants = 10_000         // most tenants measured at once; others count in the sums alone
	waitSlots   = 16_384         // a power of two, so that the table is never more than 61 % full
	waitWindow  = time.Minute    // a tenant that had no run for so long is no longer measured
	waitHalf    = waitWindow / 2 // when the window moves on
)

// waits are the times that messages waited for a handler, by tenant, and that handlers
// took, by downstream. They are counted from the events of the consumer: an event is a
// look-up and two additions, without a lock and without an allocation.
//
// Counts only rise, and wrap. Who reads them keeps what they were, and subtracts.
type waits struct {
	seed  maphash.Seed
	table atomic.Pointer[waitTable]
	rest  waitRecord // of tenants that the table has no room for, and of those it has forgotten

	took atomic.Pointer[[]*tookRecord] // replaced, never changed

	mu sync.Mutex // serializes changes of table and took; events only take it for a name that is new
}

// waitTable is found by probing from the hash of a tenant's name. Records are put in, never
// taken out: those that are left go into a new table.
type waitTable struct {
	slots [waitSlots]atomic.Pointer[waitRecord]
	used  atomic.Int64
}

type waitRecord struct {
	tenant string
	hash   uint64
	counts buckets
	marks  atomic.Pointer[marks] // replaced, never changed; nil: all zero
}

// marks are what counts was when the window last moved on, and the time before that.
type marks struct{ last, older counts }

func (r *waitRecord) marked() marks {
	if m := r.marks.Load(); m != nil {
		return *m
	}
	return marks{}
}

type tookRecord struct {
	downstream string
	counts     buckets
}

func newWaits() *waits {
	w := &waits{seed: maphash.MakeSeed()}
	w.table.Store(new(waitTable))
	w.took.Store(new([]*tookRecord))
	return w
}

// What handlers took is counted for each run of a tenant at first, then for one in sampled of
// them, which counts for all: an event costs a third less.
const (
	sampled      = 8
	sampledAfter = 64 // runs with about the same wait
)

// handled takes in one run of a handler.
func (w *waits) handled(e *consumer.Handled) {
	switch n := w.record(e.Tenant).counts.add(e.Wait); {
	case n <= sampledAfter:
		w.downstream(e.Downstream).counts.add(e.Took)
	case n%sampled == 0:
		w.downstream(e.Downstream).counts.addN(e.Took, sampled)
	}
}

// record returns the record of a tenant, which is made when it is first seen.
func (w *waits) record(tenant string) *waitRecord {
	hash := maphash.String(w.seed, tenant)
	if r := w.table.Load().find(hash, tenant); r != nil {
		return r
	}
	return w.insert(hash, tenant)
}

// find returns nil for a tenant that is not in the table.
func (t *waitTable) find(hash uint64, tenant string) *waitRecord {
	for i := hash; ; i++ {
		r := t.slots[i%waitSlots].Load()
		if r == nil || r.hash == hash && r.tenant == tenant {
			return r
		}
	}
}

// insert makes a record, if there is room for one. The name is cloned because it is often a
// piece of a subject that would be kept in memory with it.
func (w *waits) insert(hash uint64, tenant string) *waitRecord {
	if w.table.Load().used.Load() >= waitTenants {
		return &w.rest
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.table.Load()
	if r := t.find(hash, tenant); r != nil {
		return r
	}
	if t.used.Load() >= waitTenants {
		return &w.rest
	}
	r := &waitRecord{tenant: strings.Clone(tenant), hash: hash}
	t.put(r)
	return r
}

func (t *waitTable) put(r *waitRecord) {
	i := r.hash
	for t.slots[i%waitSlots].Load() != nil {
		i++
	}
	t.slots[i%waitSlots].Store(r)
	t.used.Add(1)
}

// downstream returns the record of a downstream. They are as few as the program names.
func (w *waits) downstream(name string) *tookRecord {
	for _, r := range *w.took.Load() {
		if r.downstream == name {
			return r
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	known := *w.took.Load()
	for _, r := range known {
		if r.downstream == name {
			return r
		}
	}
	r := &tookRecord{downstream: name}
	more := append(known[:len(known):len(known)], r)
	w.took.Store(&more)
	return r
}

// moveOn begins the next half of the window, and forgets tenants that had no run in the
// last two. One caller at a time. An event that holds the record of a tenant that is being
// forgotten is lost to the sums.
func (w *waits) moveOn() {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, kept := w.table.Load(), new(waitTable)
	for i := range old.slots {
		r := old.slots[i].Load()
		if r == nil {
			continue
		}
		now, m := r.counts.load(), r.marked()
		if now == m.last && now == m.older {
			w.rest.counts.addAll(now)
			continue
		}
		r.marks.Store(&marks{last: now, older: m.last})
		kept.put(r)
	}
	w.table.Store(kept)
}

// all is the sum over all tenants since the beginning.
func (w *waits) all() counts {
	sum := w.rest.counts.load()
	t := w.table.Load()
	for i := range t.slots {
		if r := t.slots[i].Load(); r != nil {
			sum.add(r.counts.load())
		}
	}
	return sum
}

// tenant returns the distribution of a tenant's waits over the window; ok is false if none is
// known.
func (w *waits) tenant(name string) (d counts, ok bool) {
	r := w.table.Load().find(maphash.String(w.seed, name), name)
	if r == nil {
		return counts{}, false
	}
	older := r.marked().older // before the counts, which only rise
	d = r.counts.load().since(older)
	return d, d.total() > 0
}

// tookOf returns the distribution of what the runs of each downstream took, since the
// beginning.
func (w *waits) tookOf() map[string]counts {
	records := *w.took.Load()
	sums := make(map[string]counts, len(records))
	for _, r := range records {
		sums[r.downstream] = r.counts.load()
	}
	return sums
}

// A duration falls into a bucket by its two highest bits in units of 16 µs, so that each
// bucket is at most half as wide as it is far from 0. The last begins at 6.7 minutes.
const (
	bucketUnit  = 4 // bits of microseconds below the first bucket
	bucketCount = 48
)

type (
	buckets [bucketCount]atomic.Uint32
	counts  [bucketCount]uint32
)

func bucketOf(d time.Duration) int {
	u := uint64(max(d, 0)/time.Microsecond) >> bucketUnit
	if u < 2 {
		return int(u)
	}
	n := bits.Len64(u)
	return min(2*(n-1)+int(u>>(n-2)&1), bucketCount-1)
}

// bucketFloor is the least duration of a bucket.
func bucketFloor(i int) time.Duration {
	u := uint64(i)
	if i >= 2 {
		u = (2 + uint64(i&1)) << (i/2 - 1)
	}
	return time.Duration(u<<bucketUnit) * time.Microsecond
}

// add counts d and returns how often its bucket was counted.
func (b *buckets) add(d time.Duration) uint32 { return b[bucketOf(d)].Add(1) }

func (b *buckets) addN(d time.Duration, n uint32) { b[bucketOf(d)].Add(n) }

func (b *buckets) addAll(c counts) {
	for i, n := range c {
		if n > 0 {
			b[i].Add(n)
		}
	}
}

func (b *buckets) load() (c counts) {
	for i := range b {
		c[i] = b[i].Load()
	}
	return c
}

func (c *counts) add(d counts) {
	for i, n := range d {
		c[i] += n
	}
}

// since returns what was counted after before. Counts wrap, and so does the difference.
func (c counts) since(before counts) counts {
	for i, n := range before {
		c[i] -= n
	}
	return c
}

func (c *counts) total() (n uint64) {
	for _, k := range c {
		n += uint64(k)
	}
	return n
}

// quantile returns the duration that a share q of the counted ones do not exceed, read off a
// straight line through its bucket; 0 if nothing was counted.
func (c *counts) quantile(q float64) time.Duration {
	total := c.total()
	if total == 0 {
		return 0
	}
	rank, below := q*float64(total), 0.0
	for i, k := range c {
		n := float64(k)
		if n > 0 && below+n >= rank {
			from, to := bucketFloor(i), bucketFloor(i+1)
			return from + time.Duration((rank-below)/n*float64(to-from))
		}
		below += n
	}
	return bucketFloor(bucketCount)
}
