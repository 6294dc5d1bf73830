package tenants

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// A farBucket is a token bucket that is a round trip away: the first who asks starts a fetch,
// and is refused; whoever asks when its answer is there has the token.
type farBucket struct {
	every, trip time.Duration
	burst       int

	full   time.Time // when the bucket there is, or was, full
	answer time.Time // when the fetch that is under way has ended; zero: there is none
	pocket int       // tokens that are here
}

// take takes a token, or says when it is worth asking again.
func (b *farBucket) take(now time.Time) (until time.Time, ok bool) {
	if !b.answer.IsZero() && !now.Before(b.answer) {
		b.answer = time.Time{}
		b.pocket++
	}
	if b.pocket > 0 {
		b.pocket--
		return now, true
	}
	if b.answer.IsZero() {
		next := b.full.Add(-time.Duration(b.burst-1) * b.every)
		if now.Before(next) {
			return next, false
		}
		if b.full.Before(now) {
			b.full = now
		}
		b.full = b.full.Add(b.every)
		b.answer = now.Add(b.trip)
	}
	return b.answer, false
}

// rated makes a tenant of s need a token of b for each start.
func (s *sim) rated(tenant string, b *farBucket) {
	s.admit = func(j Job[int]) bool {
		if j.Tenant != tenant {
			return true
		}
		until, ok := b.take(s.now)
		return ok || !s.q.ReturnUntil(s.now, j, until)
	}
}

// varied returns costs around a mean, of which each is at least half.
func varied(seed uint64, mean time.Duration) func() time.Duration {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() time.Duration { return mean/2 + time.Duration(r.ExpFloat64()*float64(mean)/2) }
}

// Where all workers are busy, each start is a turn that a tenant waits for: it must not wait
// for another because its token was a round trip away at the first.
func TestATenantHasItsSharedRateAmongBusyOthers(t *testing.T) {
	const lasts = 5 * time.Minute
	for _, tt := range []struct {
		rate   float64
		burst  int
		others int // which want all they can get of 300/s
	}{
		{20, 2, 10}, // a fair share is 27.3/s
		{25, 3, 10},
		{5, 1, 10},
		{6, 2, 40}, // 7.3/s
		{5, 1, 40},
	} {
		t.Run(fmt.Sprintf("%v in bursts of %d among %d", tt.rate, tt.burst, tt.others), func(t *testing.T) {
			part := func(shared bool) float64 {
				s := newSim(t, 12, Config{PolicyFor: func(tenant string, p *Policy) {
					if tenant == "rated" {
						p.Rate, p.SharedRate = Rate{Events: tt.rate, Per: time.Second, Burst: tt.burst}, shared
					}
				}})
				s.feed("rated", "", varied(99, 40*time.Millisecond))
				for i := range tt.others {
					s.feed(fmt.Sprint("busy", i), "", varied(uint64(i), 40*time.Millisecond))
				}
				if shared {
					every := time.Duration(float64(time.Second) / tt.rate)
					s.rated("rated", &farBucket{every: every, trip: time.Millisecond, burst: tt.burst, full: start})
				}
				s.run(lasts)
				return float64(s.started["rated"]) / lasts.Seconds() / tt.rate
			}
			shared, own := part(true), part(false)
			t.Logf("%.3f of its rate; were it not shared, %.3f", shared, own)
			if shared < 0.97 {
				t.Errorf("it had %.3f of its rate", shared)
			}
			if shared < own-0.005 {
				t.Errorf("it had %.3f of its rate, and %.3f if the rate is not shared", shared, own)
			}
		})
	}
}

// A turn that was given back is one item's: it is no credit for those behind it.
func TestATurnThatWasGivenBackIsForOneItem(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Queue: 1000}, PolicyFor: func(tenant string, p *Policy) {
		if tenant == "rated" {
			p.Rate, p.SharedRate = Rate{Events: 1000, Per: time.Second}, true
		}
	}})
	now := start
	for _, tenant := range []string{"rated", "other"} {
		for v := range 300 {
			if err := q.PushAt(now, tenant, "", v, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := func() Job[int] {
		t.Helper()
		j, ok := q.TryNext(now)
		if !ok {
			t.Fatal("nothing may start")
		}
		return j
	}
	work := func(j Job[int]) {
		now = now.Add(time.Millisecond)
		q.DoneAt(now, j)
	}
	for range 20 { // until their costs are known
		work(next())
	}
	j := next()
	for j.Tenant != "rated" {
		work(j)
		j = next()
	}
	q.ReturnUntil(now, j, now.Add(100*time.Millisecond))
	for range 100 {
		j := next()
		if j.Tenant != "other" {
			t.Fatal("it started without a token")
		}
		work(j)
	}
	started := make(map[string]int)
	for range 20 {
		j := next()
		started[j.Tenant]++
		if started["rated"] == 0 {
			t.Error("it has lost its turn")
		}
		work(j)
	}
	if n := started["rated"]; n > 11 {
		t.Errorf("%d of 20 are of the tenant that had waited, want half and the one whose turn it was", n)
	}
}
