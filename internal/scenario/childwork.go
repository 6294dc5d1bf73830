package scenario

import (
	"context"
	"runtime/metrics"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// poisonKind is the last token of the subject of a message that ends its process.
const poisonKind = "poison"

// do consumes until ctx ends, or the time of the task is over.
func (t Task) do(ctx context.Context, js jetstream.JetStream, v *voice) error {
	if t.For > 0 {
		limited, cancel := context.WithTimeout(ctx, t.For)
		defer cancel()
		ctx = limited
	}
	consume := t.consumePlain
	if t.Ours {
		consume = t.consume
	}
	m := memory{}
	stop, held, err := consume(ctx, js, v)
	if err != nil {
		js.Conn().Close()
		return err
	}
	v.say(event{Ready: true})
	if t.Gauge {
		m.watch(ctx, held)
		v.say(event{Memory: &m})
	}
	<-ctx.Done()
	return stop()
}

// handle is the work: it takes its time, or ends the process.
func (t Task) handle(v *voice, subject string, seq uint64) {
	if t.Announce {
		v.say(event{Began: seq})
	}
	if kindOf(subject) == poisonKind {
		die()
	}
	if t.Service > 0 {
		time.Sleep(t.Service)
	}
	if t.Announce {
		v.say(event{Handled: seq})
	}
}

// bytesHeld returns how many messages, and of what size together, are held now.
type bytesHeld func() (messages int, bytes int64)

func (t Task) consume(ctx context.Context, js jetstream.JetStream, v *voice) (func() error, bytesHeld, error) {
	cfg := consumer.Config{
		Stream: t.Stream, Durable: t.Durable, Workers: t.Workers, AckWait: t.AckWait,
		Buffer: consumer.Buffer{Messages: t.Buffer},
	}
	if t.Gauge {
		cfg.DrainTimeout = time.Millisecond // what is left of the backlog is of no interest
	}
	s, err := startSession(context.WithoutCancel(ctx), js, cfg, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		t.handle(v, m.Subject, m.Sequence)
		return nil
	}))
	if err != nil {
		return nil, nil, err
	}
	return s.stop, func() (int, int64) {
		now := s.Snapshot()
		return now.Held, now.HeldBytes
	}, nil
}

func (t Task) consumePlain(ctx context.Context, js jetstream.JetStream, v *voice) (func() error, bytesHeld, error) {
	run, err := startPlain(ctx, js, t.Stream, t.Durable, Plain{Workers: t.Workers, AckWait: t.AckWait, Handle: func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return // no message of JetStream
		}
		t.handle(v, m.Subject(), meta.Sequence.Stream)
		_ = m.Ack() // what is not acked comes again, and is counted
	}})
	if err != nil {
		return nil, nil, err
	}
	return func() error { run.stop(); return nil }, func() (int, int64) { return 0, 0 }, nil
}

// memory is the most that a process has used.
type memory struct {
	Live      uint64 `json:"live"` // heap in use after a collection
	Held      int    `json:"held"` // messages
	HeldBytes int64  `json:"held_bytes"`
}

// gaugeTick is short beside the time between two collections.
const gaugeTick = 5 * time.Millisecond

// watch raises m to what is used, until ctx ends.
func (m *memory) watch(ctx context.Context, held bytesHeld) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(gaugeTick)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		metrics.Read(sample)
		if sample[0].Value.Kind() == metrics.KindUint64 {
			m.Live = max(m.Live, sample[0].Value.Uint64())
		}
		if i%10 == 0 { // it looks at all that is held
			messages, bytes := held()
			m.Held, m.HeldBytes = max(m.Held, messages), max(m.HeldBytes, bytes)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
