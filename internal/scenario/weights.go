package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var weightsScenario = Scenario{
	Name:  "weights",
	Claim: "tenants get worker-time by their weights",
	Doc: `Five tenants with weights 1 to 5 and a backlog each, 8 workers, handlers of 2 ms. The first 500
runs are not counted; of the next 5,000 each tenant's share is compared with its weight's. Then
the weights are turned round while all goes on, and the same is done again.`,
	Run: weights,
}

const (
	weightsTenants = 5
	weightsWorkers = 8
	weightsService = 2 * time.Millisecond
	weightsOff     = 0.01
)

// A share counts the runs of tenants, and their time, between two runs of all.
type share struct {
	first, last int64 // which runs count
	started     atomic.Int64

	mu   sync.Mutex // guards the fields below
	runs map[string]int
	time map[string]time.Duration
	done int
	over chan struct{} // closed when all that count have ended
}

func newShare(skip, count int) *share {
	return &share{
		first: int64(skip) + 1, last: int64(skip + count),
		runs: make(map[string]int), time: make(map[string]time.Duration), over: make(chan struct{}),
	}
}

// run is a handler.
func (s *share) run(tenant string, service time.Duration) {
	n, began := s.started.Add(1), time.Now()
	time.Sleep(service)
	if n < s.first || n > s.last {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[tenant]++
	s.time[tenant] += time.Since(began)
	if s.done++; int64(s.done) == s.last-s.first+1 {
		close(s.over)
	}
}

// off returns by how much the share of a tenant differs from that of its weight, at most, of
// worker-time and of runs.
func (s *share) off(weights map[string]float64) (ofTime, ofRuns float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var weight, spent, runs float64
	for tenant, w := range weights {
		weight += w
		spent += s.time[tenant].Seconds()
		runs += float64(s.runs[tenant])
	}
	for tenant, w := range weights {
		part := w / weight
		ofTime = max(ofTime, math.Abs(s.time[tenant].Seconds()/spent/part-1))
		ofRuns = max(ofRuns, math.Abs(float64(s.runs[tenant])/runs/part-1))
	}
	return ofTime, ofRuns
}

func weightedName(i int) string { return "w" + strconv.Itoa(i) }

func weights(ctx context.Context, r *Rig) ([]Row, error) {
	skip, count := r.Count(500, 50), r.Count(5000, 200)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	// So many that each has work to the end.
	each := skip + count + 100
	err = bed.fill(ctx, each*weightsTenants, func(i int) (string, []byte) {
		return bed.subject(weightedName(i%weightsTenants+1), workKind), nil
	})
	if err != nil {
		return nil, err
	}
	want := make(map[string]float64)
	for i := 1; i <= weightsTenants; i++ {
		want[weightedName(i)] = float64(i)
	}
	plain := newShare(skip, count)
	run, err := bed.plain(ctx, "plain", byHand{Workers: weightsWorkers, Handle: func(m jetstream.Msg) {
		plain.run(tenantOf(m.Subject()), weightsService)
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return nil, err
	}
	err = plain.await(ctx)
	run.stop()
	if err != nil {
		return nil, fmt.Errorf("plain consumer: %w", err)
	}
	turned := make(map[string]float64)
	for i := 1; i <= weightsTenants; i++ {
		turned[weightedName(i)] = float64(weightsTenants + 1 - i)
	}
	before, after := newShare(skip, count), newShare(skip, count)
	if err := weighted(ctx, bed, before, after, want, turned); err != nil {
		return nil, err
	}
	n := grouped(int64(count))
	plainTime, plainRuns := plain.off(want)
	row := func(claim string, s *share, weights map[string]float64) Row {
		ofTime, ofRuns := s.off(weights)
		return atMost(claim+" worker-time off by, at most", ofShare(ofTime), ofShare(weightsOff)).
			noting("numbers of messages, whose handlers do not take exactly as long: off by %v", ofShare(ofRuns))
	}
	return []Row{
		row("weights 1:2:3:4:5, "+n+" messages:", before, want).beside(ofShare(plainTime)).noting("plain: %v", ofShare(plainRuns)),
		row("5:4:3:2:1, set while they run:", after, turned),
	}, nil
}

func (s *share) await(ctx context.Context) error {
	return until(ctx, "the runs that count", time.Minute, func() bool {
		select {
		case <-s.over:
			return true
		default:
			return false
		}
	})
}

// weighted runs Spillway with the weights until the first share is known, and then with those
// that are set, until the second is.
func weighted(ctx context.Context, bed *bed, before, after *share, weights, turned map[string]float64) error {
	var now atomic.Pointer[share]
	now.Store(before)
	s, err := bed.ours(ctx, consumer.Config{
		Durable: "ours", Workers: weightsWorkers, DrainTimeout: time.Second,
		PolicyFor: func(tenant string, p *consumer.TenantPolicy) { p.Weight = weights[tenant] },
	}, handlerFor(func(subject string, _ uint64, _ []byte) { now.Load().run(tenantOf(subject), weightsService) }))
	if err != nil {
		return err
	}
	err = before.await(ctx)
	for tenant, weight := range turned {
		if err == nil {
			err = s.SetTenant(ctx, tenant, consumer.TenantPatch{Weight: &weight}, 0)
		}
	}
	now.Store(after)
	if err == nil {
		err = after.await(ctx)
	}
	return errors.Join(err, s.stop())
}
