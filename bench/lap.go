package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/measure"
)

const lapStream = "LAP"

// The subjects of a lap. A flood's is what fill makes for its first tenant.
const (
	floodSubject = lapStream + ".t0.run"
	quietSubject = lapStream + ".quiet.run"
)

// lapPlan is a way to consume a flood and a quiet tenant.
type lapPlan struct {
	name  string
	flood int
	span  time.Duration // for how long the quiet tenant publishes
	start func(ctx context.Context, js jetstream.JetStream, l *track) (stop func() (note string, err error), err error)
}

// lap is what came of it.
type lap struct {
	waits  []time.Duration // of the quiet tenant's messages published after the skim
	during []time.Duration // of those published before its end
	worst  time.Duration   // from the first pull to the publication of what waited longest in waits
	skim   time.Duration   // from the first pull until everything of the flood was seen once
	busy   float64         // share of the workers that ran handlers
	note   string
}

func (l lap) String() string {
	return strings.TrimSuffix(fmt.Sprintf("quiet p50 %v, p99 %v, max %v (after %v) of %d; skim %v, %d during it, max %v; busy %.0f %%; %s",
		round(measure.Quantile(l.waits, 0.5)), round(measure.Quantile(l.waits, 0.99)), round(measure.Quantile(l.waits, 1)), round(l.worst), len(l.waits),
		round(l.skim), len(l.during), round(measure.Quantile(l.during, 1)), 100*l.busy, l.note), "; ")
}

func medianOf[T cmp.Ordered](all []lap, of func(lap) T) T {
	values := make([]T, len(all))
	for i := range all {
		values[i] = of(all[i])
	}
	return measure.Median(values)
}

// track is a lap while it is run.
type track struct {
	flood   int
	began   time.Time
	running atomic.Int64 // nanoseconds of handlers that ended
	skimmed atomic.Int64 // unix nanoseconds of the end of the skim; 0: not yet

	mu      sync.Mutex
	samples []sample
}

// sample is one message of the quiet tenant.
type sample struct{ published, started time.Time }

// handle is what a handler does: note how long a quiet message waited, and take its time.
func (t *track) handle(subject string, data []byte) {
	started := time.Now()
	if subject == quietSubject && len(data) >= 8 {
		published := time.Unix(0, int64(binary.BigEndian.Uint64(data)))
		t.mu.Lock()
		t.samples = append(t.samples, sample{published, started})
		t.mu.Unlock()
	}
	time.Sleep(service)
	t.running.Add(int64(time.Since(started)))
}

func (t *track) seen() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.samples)
}

// lapOf runs p once, on a stream of its own.
func (e *env) lapOf(ctx context.Context, p lapPlan) (lap, error) {
	b := backlog{lapStream, p.flood, 1, payloadBytes}
	if err := b.fill(ctx, e.js); err != nil {
		return lap{}, err
	}
	js, err := e.broker.connect()
	if err != nil {
		return lap{}, err
	}
	defer js.Conn().Close()
	t := &track{flood: p.flood, began: time.Now()}
	stop, err := p.start(ctx, js, t)
	if err != nil {
		return lap{}, err
	}
	sent, err := e.publishQuiet(ctx, p.span)
	span := time.Since(t.began)
	busy := float64(t.running.Load()) / float64(span) / isolatedCrew
	if err == nil {
		err = t.await(ctx, sent)
	}
	note, stopErr := stop()
	l := t.lap()
	l.busy, l.note = busy, note
	return l, firstError(err, stopErr)
}

// publishQuiet publishes at a steady pace, whatever becomes of the messages; each
// carries the moment it was due.
func (e *env) publishQuiet(ctx context.Context, span time.Duration) (sent int, err error) {
	js, err := e.broker.connect()
	if err != nil {
		return 0, err
	}
	defer js.Conn().Close()
	for start := time.Now(); ; sent++ {
		due := start.Add(time.Duration(sent) * isolationBeat)
		if due.Sub(start) >= span {
			return sent, js.Conn().FlushTimeout(patience)
		}
		time.Sleep(time.Until(due))
		payload := binary.BigEndian.AppendUint64(make([]byte, 0, payloadBytes), uint64(due.UnixNano()))
		if err := js.Conn().Publish(quietSubject, payload[:payloadBytes]); err != nil {
			return sent, fmt.Errorf("publish: %w", err)
		}
	}
}

// await waits until all quiet messages were handled.
func (t *track) await(ctx context.Context, sent int) error {
	deadline := time.Now().Add(patience)
	for t.seen() < sent {
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d messages of the quiet tenant were handled within %v", t.seen(), sent, patience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (t *track) lap() lap {
	t.mu.Lock()
	defer t.mu.Unlock()
	var l lap
	skimmed := time.Unix(0, t.skimmed.Load())
	if t.skimmed.Load() != 0 {
		l.skim = skimmed.Sub(t.began)
	}
	// What the quiet tenant published during the skim is its own backlog then: who is
	// behind that waits for it, and for nobody else.
	for _, s := range t.samples {
		if s.published.Before(skimmed) && s.started.After(skimmed) {
			skimmed = s.started
		}
	}
	for _, s := range t.samples {
		wait := max(s.started.Sub(s.published), 0)
		if !s.published.Before(skimmed) && wait > measure.Quantile(l.waits, 1) {
			l.worst = s.published.Sub(t.began)
		}
		if s.published.Before(skimmed) {
			l.during = append(l.during, wait)
		} else {
			l.waits = append(l.waits, wait)
		}
	}
	return l
}

func lapPlain(ctx context.Context, js jetstream.JetStream, t *track) (func() (string, error), error) {
	durable, err := plainConsumer(ctx, js, lapStream, "plain")
	if err != nil {
		return nil, err
	}
	t.began = time.Now()
	pool, err := measure.StartPool(durable, isolatedCrew, func(m jetstream.Msg) {
		t.handle(m.Subject(), m.Data())
		_ = m.Ack() // what is not acked comes again
	})
	if err != nil {
		return nil, err
	}
	return func() (string, error) { pool.Stop(); return "", nil }, nil
}

func lapSpillway(ctx context.Context, js jetstream.JetStream, t *track) (func() (string, error), error) {
	cfg := consumer.Config{
		Stream: lapStream, Durable: "ours", Workers: isolatedCrew, AckWait: ackWait,
		DrainTimeout: time.Millisecond, // what is left of the flood is of no interest
	}
	s, err := runSpillway(ctx, js, cfg, func(m *consumer.Message) { t.handle(m.Subject, m.Data) })
	if err != nil {
		return nil, err
	}
	t.began = time.Now()
	watch, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { t.watchSkim(watch, s) })
	return func() (string, error) {
		cancel()
		watching.Wait()
		note := s.note()
		return note, firstError(s.stop(), s.forget(context.WithoutCancel(ctx)))
	}, nil
}

// watchSkim notes when the main lane has seen the whole flood once.
func (t *track) watchSkim(ctx context.Context, s *session) {
	for t.skimmed.Load() == 0 && ctx.Err() == nil {
		main := s.Snapshot().Lanes[0]
		if main.Pulled >= uint64(t.flood) && main.Pending == 0 {
			t.skimmed.Store(time.Now().UnixNano())
			return
		}
		time.Sleep(time.Millisecond)
	}
}
