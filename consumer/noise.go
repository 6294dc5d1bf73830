package consumer

import (
	"sync"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// Noisy tells that a tenant began or ceased to be noisy. It is a signal and no more: the
// scheduler is fair without it.
type Noisy struct {
	Tenant        string
	Noisy         bool
	WorkerShare   float64 // of the worker-time of all tenants, since the last look
	InFlightShare float64 // of the messages running
}

// A tenant is noisy when, while others had work too, it has had more than noisyAbove of the
// worker-time and of the messages in flight at noisyLooks looks in a row; it ceases to be
// when one of the two was below quietBelow as often.
const (
	noiseTick  = 5 * time.Second
	noisyAbove = 2.0 / 3 // two tenants that share the work are not
	quietBelow = 0.5
	noisyLooks = 2
)

// noise is who is noisy, as of the last look.
type noise struct {
	worked map[string]time.Duration // of those who had worker-time at the last look; of listen alone
	looks  map[string]int           // in a row that spoke against what holds; of listen alone

	mu    sync.Mutex // guards noisy, and is held for a look into it
	noisy map[string]bool
}

func (n *noise) isNoisy(tenant string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.noisy[tenant]
}

// usage is what one tenant used since the last look.
type usage struct {
	tenant   string
	worked   time.Duration
	inFlight int
}

// listen is one look at all tenants.
func (c *Consumer) listen() {
	var used []usage
	total := make(map[string]time.Duration, len(c.noise.worked))
	for name, stat := range c.queues.All() {
		if name == suspectTenant || stat.WorkerTime == 0 && stat.InFlight == 0 {
			continue
		}
		total[name] = stat.WorkerTime + stat.Busy
		if u := c.noise.since(name, stat); u.worked > 0 || u.inFlight > 0 {
			used = append(used, u)
		}
	}
	c.noise.worked = total
	for _, e := range c.noise.judge(used) {
		c.observers.noisy(e)
	}
}

// since returns what a tenant used since the last look. One that was forgotten meanwhile
// begins anew.
func (n *noise) since(name string, stat tenants.Stat) usage {
	worked := stat.WorkerTime + stat.Busy
	if before := n.worked[name]; before <= worked {
		worked -= before
	}
	return usage{tenant: name, worked: worked, inFlight: stat.InFlight}
}

// judge returns who began or ceased to be noisy.
func (n *noise) judge(used []usage) (changes []Noisy) {
	var worked time.Duration
	var inFlight int
	for _, u := range used {
		worked += u.worked
		inFlight += u.inFlight
	}
	shares := make(map[string]Noisy)
	for _, u := range used {
		e := Noisy{Tenant: u.tenant, WorkerShare: ratio(float64(u.worked), float64(worked)), InFlightShare: ratio(float64(u.inFlight), float64(inFlight))}
		if n.noisy[u.tenant] || len(used) > 1 && e.WorkerShare > noisyAbove && e.InFlightShare > noisyAbove {
			shares[u.tenant] = e
		}
	}
	for name := range n.noisy {
		if _, active := shares[name]; !active {
			shares[name] = Noisy{Tenant: name}
		}
	}
	looks := make(map[string]int, len(shares))
	for name, e := range shares {
		quiet := e.WorkerShare < quietBelow || e.InFlightShare < quietBelow || len(used) < 2
		if n.noisy[name] != quiet {
			continue // as it was
		}
		if looks[name] = n.looks[name] + 1; looks[name] >= noisyLooks {
			e.Noisy = !quiet
			changes = append(changes, e)
			delete(looks, name)
		}
	}
	n.looks = looks
	n.set(changes)
	return changes
}

func (n *noise) set(changes []Noisy) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range changes {
		if !e.Noisy {
			delete(n.noisy, e.Tenant)
			continue
		}
		if n.noisy == nil {
			n.noisy = make(map[string]bool)
		}
		n.noisy[e.Tenant] = true
	}
}

// ratio is a/b, 0 if there is nothing.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
