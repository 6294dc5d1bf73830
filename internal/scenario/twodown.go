package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

var twoDownstreamsScenario = Scenario{
	Name:  "two-downstreams",
	Claim: "a downstream that is dead costs the others nothing",
	Doc: `20 tenants with work for two downstreams, each with a limit and a breaker as they are by default, 32
workers. One takes 10 ms a call, the other is dead: it closes connections, or it does not answer
at all until the handler's timeout of 250 ms. What the first handles in 6 s is compared with
what it handles when the work for the other is not there.`,
	Run: twoDownstreams,
}

const (
	pairWorkers = 32
	pairTenants = 20
	pairService = 10 * time.Millisecond
	pairTimeout = 250 * time.Millisecond
	pairLook    = 6 * time.Second
	pairLeast   = 0.95
	aliveKind   = "alive"
	deadKind    = "dead"
)

func twoDownstreams(ctx context.Context, r *Rig) ([]Row, error) {
	look := r.Span(pairLook, 500*time.Millisecond)
	alone, err := pairOurs(ctx, r, look, "")
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, kind := range []fakedownstream.Kind{fakedownstream.Dead, fakedownstream.Hang} {
		plain, err := pairPlain(ctx, r, look, kind)
		if err != nil {
			return rows, err
		}
		ours, err := pairOurs(ctx, r, look, kind)
		if err != nil {
			return rows, err
		}
		row := Row{
			Claim: map[fakedownstream.Kind]string{
				fakedownstream.Dead: "one downstream closes connections: the other handles",
				fakedownstream.Hang: "one downstream does not answer: the other handles",
			}[kind],
			Ours: ofRate(ours), Bound: fmt.Sprintf("≥ %.0f %% of alone (%v)", 100*pairLeast, ofRate(alone)),
			Verdict: judge(ours >= pairLeast*alone),
		}
		rows = append(rows, row.beside(ofRate(plain)).noting("%.1f %% of alone", 100*ours/alone))
	}
	return rows, nil
}

// A pair is a downstream that works and one that does not, or is not there.
type pair struct {
	bed    *bed
	server *fakedownstream.Server
	caller *caller
	alive  atomic.Int64 // calls that were answered
}

// newPair fills a stream with work for both.
func newPair(ctx context.Context, r *Rig, look time.Duration, kind fakedownstream.Kind) (*pair, error) {
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	p := &pair{bed: bed}
	kinds := []string{aliveKind}
	if kind != "" {
		kinds = append(kinds, deadKind)
		d, err := fakedownstream.New(fakedownstream.Config{})
		if err != nil {
			return nil, err
		}
		if err := d.SetFault(fakedownstream.Fault{Kind: kind}); err != nil {
			return nil, err
		}
		if p.server, err = fakedownstream.Start("127.0.0.1:0", d); err != nil {
			return nil, err
		}
		p.caller = newCaller(p.server.URL())
	}
	// More than the workers could do if all were for the one that works.
	each := int(look/pairService) * pairWorkers * 5 / 4
	subjects := make([]string, 0, pairTenants*len(kinds))
	for i := range pairTenants {
		for _, kind := range kinds {
			subjects = append(subjects, bed.subject(fmt.Sprintf("t%d", i), kind))
		}
	}
	return p, bed.fill(ctx, each*len(kinds), func(i int) (string, []byte) { return subjects[i%len(subjects)], nil })
}

func (p *pair) close(ctx context.Context) error {
	if p.server != nil {
		p.caller.close()
		p.server.Close()
	}
	return p.bed.drop(ctx)
}

// callAlive takes its time.
func (p *pair) callAlive() {
	time.Sleep(pairService)
	p.alive.Add(1)
}

// rate returns what the one that works handles in a second.
func (p *pair) rate(ctx context.Context, look time.Duration) (float64, error) {
	before, began := p.alive.Load(), time.Now()
	err := pause(ctx, look)
	return float64(p.alive.Load()-before) / time.Since(began).Seconds(), err
}

func pairOurs(ctx context.Context, r *Rig, look time.Duration, kind fakedownstream.Kind) (float64, error) {
	r.Say("Spillway, with a downstream that is %q", kind)
	p, err := newPair(ctx, r, look, kind)
	if err != nil {
		return 0, err
	}
	mux := new(consumer.Mux)
	mux.Route(consumer.Route{
		Subject: p.bed.stream + ".*." + aliveKind, Downstream: aliveKind,
		Handler: handlerFor(func(string, uint64, []byte) { p.callAlive() }),
	})
	mux.Route(consumer.Route{
		Subject: p.bed.stream + ".*." + deadKind, Downstream: deadKind, Timeout: pairTimeout,
		Handler: consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error { return p.caller.call(ctx) }),
	})
	s, err := p.bed.ours(ctx, consumer.Config{Durable: "ours", Workers: pairWorkers, DrainTimeout: time.Millisecond}, mux)
	if err != nil {
		return 0, errors.Join(err, p.close(ctx))
	}
	rate, err := p.rate(ctx, look)
	return rate, errors.Join(err, s.stop(), p.close(ctx))
}

func pairPlain(ctx context.Context, r *Rig, look time.Duration, kind fakedownstream.Kind) (float64, error) {
	r.Say("the plain consumer, with a downstream that is %q", kind)
	p, err := newPair(ctx, r, look, kind)
	if err != nil {
		return 0, err
	}
	run, err := p.bed.plain(ctx, "plain", Plain{Workers: pairWorkers, Handle: func(m jetstream.Msg) {
		if kindOf(m.Subject()) == aliveKind {
			p.callAlive()
			_ = m.Ack() // what is not acked comes again
			return
		}
		limited, cancel := context.WithTimeout(ctx, pairTimeout)
		defer cancel()
		if p.caller.call(limited) == nil {
			_ = m.Ack()
			return
		}
		_ = m.NakWithDelay(outageNak) // it comes again without it, too
	}})
	if err != nil {
		return 0, errors.Join(err, p.close(ctx))
	}
	rate, err := p.rate(ctx, look)
	run.stop()
	return rate, errors.Join(err, p.close(ctx))
}
