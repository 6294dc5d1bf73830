package story

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// A book knows what became of every job, by its id. Ids are numbers, so that three bits
// each are all it takes.
type book struct {
	// mu guards all below. It is held to count, never over a call.
	mu       sync.Mutex
	scene    Scene
	lastID   uint64
	accepted bits // the gateway has answered 202, or was about to
	done     bits // the handler has returned nil
	again    int  // handlers that returned nil for a job that was done before
	failed   int  // handlers that returned an error
	tenants  [len(tenants)]counts
}

// counts are those of one tenant.
type counts struct {
	sent, accepted, refused, failed, done int
	recent                                waits         // since the last look
	waits                                 [scenes]waits // by the scene in which the job began to run
}

func tenantIndex(name string) int { return slices.Index(tenants[:], name) }

// sent counts a job that is posted, and returns its id.
func (b *book) sent(tenant string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastID++
	b.tenants[tenantIndex(tenant)].sent++
	return strconv.FormatUint(b.lastID, 10)
}

// answered counts what the client has seen of the gateway; status 0 is no answer.
func (b *book) answered(tenant string, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch c := &b.tenants[tenantIndex(tenant)]; status {
	case http.StatusAccepted:
		c.accepted++
	case http.StatusServiceUnavailable:
		c.refused++
	default:
		c.failed++
	}
}

// stored is told by the gateway when JetStream has confirmed a job.
func (b *book) stored(id string) {
	n, err := strconv.ParseUint(id, 10, 64)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && n <= b.lastID {
		b.accepted.add(n)
	}
}

// begun is told when the handler begins with a job that has waited so long.
func (b *book) begun(m *consumer.Message, wait time.Duration) {
	i := tenantIndex(m.Tenant)
	b.mu.Lock()
	defer b.mu.Unlock()
	if i < 0 || m.Attempt > 1 { // what waited for a retry says nothing of the queues
		return
	}
	b.tenants[i].recent.add(wait)
	b.tenants[i].waits[b.scene].add(wait)
}

// ended is told what the handler returned.
func (b *book) ended(m *consumer.Message, result error) {
	n, err := strconv.ParseUint(m.Header.Get(jobID), 10, 64)
	i := tenantIndex(m.Tenant)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case result != nil:
		b.failed++
	case err != nil || i < 0 || n > b.lastID: // not a job of ours
	case b.done.add(n):
		b.tenants[i].done++
	default:
		b.again++
	}
}

// failedRuns returns how many runs of the handler have failed.
func (b *book) failedRuns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed
}

// begin says that a scene begins.
func (b *book) begin(s Scene) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scene = s
	for i := range b.tenants {
		b.tenants[i].waits[s] = waits{}
	}
}

// look returns the counts of all tenants, in their order. Recent are those since the last.
func (b *book) look() [len(tenants)]counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.tenants
	for i := range b.tenants {
		b.tenants[i].recent = waits{}
	}
	return seen
}

// wait returns a quantile of the waits of some tenants in a scene.
func (b *book) wait(s Scene, q float64, names ...string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all waits
	for _, name := range names {
		all.join(&b.tenants[tenantIndex(name)].waits[s])
	}
	return all.quantile(q)
}

// bits is a set of small numbers.
type bits []uint64

// add adds n and reports whether it was not there.
func (b *bits) add(n uint64) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	for uint64(len(*b)) <= word {
		*b = append(*b, 0)
	}
	fresh := (*b)[word]&bit == 0
	(*b)[word] |= bit
	return fresh
}

func (b bits) has(n uint64) bool {
	return n/64 < uint64(len(b)) && b[n/64]&(1<<(n%64)) != 0
}
