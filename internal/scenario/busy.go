package scenario

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var busyScenario = Scenario{
	Name:  "workers-busy",
	Claim: "no worker is idle while there is work, and no quiet tenant waits for it",
	Doc: `First 64 workers with handlers of 1 s and a backlog, of one tenant and of 100: which share of their
time the workers run handlers. Then 8 workers and two flooders of 5 ms, one of 10 ms, or one of
50 ms, 20,000 messages each: what 20 quiet tenants wait after the skim.`,
	Run: workersBusy,
}

const (
	busyWorkers = 64
	busyService = time.Second
	busyWarm    = 1500 * time.Millisecond // until all workers have begun
	busyLook    = 4 * time.Second
	busyLeast   = 0.98
)

func workersBusy(ctx context.Context, r *Rig) ([]Row, error) {
	var rows []Row
	for _, tenants := range []int{1, 100} {
		row, err := keptBusy(ctx, r, tenants)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	for _, f := range []flooders{{2, 5 * time.Millisecond}, {1, 10 * time.Millisecond}, {1, 50 * time.Millisecond}} {
		row, err := f.beside(ctx, r)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// A busyness adds up how long workers run handlers inside a window.
type busyness struct {
	from, to time.Time
	ran      atomic.Int64 // nanoseconds
}

// run is a handler.
func (b *busyness) run(service time.Duration) {
	began := time.Now()
	time.Sleep(service)
	ended := time.Now()
	if began.Before(b.from) {
		began = b.from
	}
	if ended.After(b.to) {
		ended = b.to
	}
	b.ran.Add(int64(max(ended.Sub(began), 0)))
}

func (b *busyness) share(workers int) float64 {
	return float64(b.ran.Load()) / float64(b.to.Sub(b.from)) / float64(workers)
}

// keptBusy lets both consumers do long work at the same time: they do nothing but wait.
func keptBusy(ctx context.Context, r *Rig, tenants int) (Row, error) {
	service, look := r.Span(busyService, 20*time.Millisecond), r.Span(busyLook, 200*time.Millisecond)
	bed, err := r.newBed(ctx)
	if err != nil {
		return Row{}, err
	}
	warm := r.Span(busyWarm, 100*time.Millisecond)
	messages := busyWorkers * (int((warm+look)/service) + 2)
	if err := bed.fillTenants(ctx, messages, tenants, racePayload); err != nil {
		return Row{}, err
	}
	began := time.Now()
	window := busyness{from: began.Add(warm), to: began.Add(warm + look)}
	ours, plain := &busyness{from: window.from, to: window.to}, &busyness{from: window.from, to: window.to}
	s, err := bed.ours(ctx, consumer.Config{Durable: "ours", Workers: busyWorkers, DrainTimeout: time.Millisecond},
		handlerFor(func(string, uint64, []byte) { ours.run(service) }))
	if err != nil {
		return Row{}, err
	}
	run, err := bed.plain(ctx, "plain", Plain{Workers: busyWorkers, Handle: func(m jetstream.Msg) {
		plain.run(service)
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return Row{}, errors.Join(err, s.stop())
	}
	r.Say("%d workers with handlers of %v", busyWorkers, service)
	err = pause(ctx, time.Until(window.to.Add(service))) // until what ran in the window has ended
	run.stop()
	if err := errors.Join(err, s.stop(), bed.drop(ctx)); err != nil {
		return Row{}, err
	}
	claim := fmt.Sprintf("%d workers, handlers of %v, %s: workers that run", busyWorkers, service, map[bool]string{true: "1 tenant", false: fmt.Sprintf("%d tenants", tenants)}[tenants == 1])
	return atLeast(claim, ofShare(ours.share(busyWorkers)), ofShare(busyLeast)).beside(ofShare(plain.share(busyWorkers))), nil
}

// flooders are tenants that have a backlog each of handlers that take so long.
type flooders struct {
	tenants int
	service time.Duration
}

// beside measures what quiet tenants wait beside them.
func (f flooders) beside(ctx context.Context, r *Rig) (Row, error) {
	alone, err := quietAlone(ctx, r, f.service, f.gap(), floodWorkers)
	if err != nil {
		return Row{}, err
	}
	messages := r.Count(20_000, 1000)
	bed, err := r.newBed(ctx)
	if err != nil {
		return Row{}, err
	}
	err = bed.fill(ctx, messages*f.tenants, func(i int) (string, []byte) {
		return bed.subject(floodTenant+strconv.Itoa(i%f.tenants), workKind), nil
	})
	if err != nil {
		return Row{}, err
	}
	r.Say("quiet tenants beside %d × %v", f.tenants, f.service)
	c := bed.newCrowd(floodQuiet, f.gap())
	waits, err := f.waits(ctx, bed, c, messages*f.tenants)
	if err != nil {
		return Row{}, err
	}
	claim := fmt.Sprintf("quiet tenants beside %d × %s messages of %v on %d workers, p99 of the wait after the skim",
		f.tenants, grouped(int64(messages)), f.service, floodWorkers)
	return quietBound(claim, quantile(waits, 0.99), alone, f.service), bed.drop(ctx)
}

// gap lets the quiet tenants use an eighth of the workers.
func (f flooders) gap() time.Duration { return f.service }

// waits returns what quiet tenants waited whose messages came after the skim.
func (f flooders) waits(ctx context.Context, bed *bed, c *crowd, messages int) (waits []time.Duration, err error) {
	s, err := bed.ours(ctx, consumer.Config{Durable: "ours", Workers: floodWorkers, DrainTimeout: time.Millisecond},
		handlerFor(func(_ string, _ uint64, data []byte) {
			c.started(data, time.Now())
			time.Sleep(f.service)
		}))
	if err != nil {
		return nil, err
	}
	publishing, silence := context.WithCancel(ctx)
	var around sync.WaitGroup
	var published error
	around.Go(func() { published = c.publish(publishing, time.Hour) })
	err = until(ctx, "the skim", floodPatience, func() bool {
		main := s.Snapshot().Lanes[0]
		return main.Pulled >= uint64(messages) && main.Pending == 0
	})
	skimmed := time.Now()
	if err == nil {
		err = pause(ctx, bed.rig.Span(floodLook, 200*time.Millisecond))
	}
	silence()
	around.Wait()
	if !errors.Is(published, context.Canceled) {
		err = errors.Join(err, published)
	}
	if err == nil {
		err = until(ctx, "the quiet tenants are handled", patience, func() bool { return c.waiting() == 0 })
	}
	waits, _ = c.since(c.lastStart(skimmed), time.Now())
	return waits, errors.Join(err, s.stop())
}
