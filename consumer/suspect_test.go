package consumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// fleet is processes that run on one durable, die when a handler says so, and are
// replaced. A process dies by losing its connection: nothing that it settles
// afterwards reaches the server.
type fleet struct {
	r      *rig
	cfg    consumer.Config
	handle func(ctx context.Context, m *consumer.Message) (crash bool)

	mu      sync.Mutex
	crashes int
}

func (f *fleet) process(ctx context.Context) {
	for ctx.Err() == nil {
		f.life(ctx)
	}
}

// life is one process, from its start to its death.
func (f *fleet) life(ctx context.Context) {
	nc := f.r.Conn(f.r.t)
	js, err := jetstream.New(nc)
	if err != nil {
		f.r.t.Error(err)
		return
	}
	dead, die := context.WithCancel(ctx)
	defer die()
	c, err := consumer.New(js, f.cfg, consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		if !f.handle(ctx, m) {
			return nil
		}
		f.mu.Lock()
		f.crashes++
		f.mu.Unlock()
		nc.Close()
		die()
		<-ctx.Done()
		return ctx.Err()
	}))
	if err != nil {
		f.r.t.Error(err)
		return
	}
	_ = c.Run(dead)
	nc.Close()
}

func TestAMessageThatKillsTheProcessIsConvictedWithoutItsNeighbours(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		handled := make(map[uint64]int)
		poison := map[uint64]bool{}
		f := &fleet{r: r, cfg: config(t, func(cfg *consumer.Config) {
			cfg.Workers = 4
			cfg.AckWait = 5 * time.Second
			cfg.DrainTimeout = time.Millisecond
			cfg.Logger = nil
		})}
		f.handle = func(ctx context.Context, m *consumer.Message) bool {
			time.Sleep(50 * time.Millisecond)
			f.mu.Lock()
			defer f.mu.Unlock()
			if poison[m.Sequence] {
				return true
			}
			if ctx.Err() == nil {
				handled[m.Sequence]++
			}
			return false
		}
		var all []uint64
		for i := range 60 {
			seq := r.publish(fmt.Sprintf("jobs.t%d.x", i%6), "")
			all = append(all, seq)
			if i == 7 || i == 23 {
				poison[seq] = true
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { f.process(ctx) })
		}
		time.Sleep(10 * time.Minute)
		cancel()
		wg.Wait()
		for _, seq := range all {
			if !poison[seq] && handled[seq] == 0 {
				t.Errorf("message %d, a neighbour, was not handled", seq)
			}
		}
		letters := r.letters()
		if len(letters) != len(poison) {
			t.Fatalf("%d dead letters, want %d", len(letters), len(poison))
		}
		for _, l := range letters {
			if l.Header.Get("Spillway-Reason") != "crash" {
				t.Errorf("dead letter %v", l.Header)
			}
		}
		t.Logf("%d crashes until both were convicted", f.crashes)
		if n := r.streamMsgs("JOBS_OVERFLOW"); n != 0 {
			t.Errorf("%d copies are left", n)
		}
	})
}

func TestADrainDoesNotCountAsAStrikeAgainstASuspect(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		cfg := config(t, func(cfg *consumer.Config) {
			cfg.DrainTimeout = time.Second
			cfg.AckWait = 2 * time.Second
			cfg.Logger = nil
		})
		// Deliver it four times without an outcome, so that it is a suspect.
		r.run(cfg, record(nil))
		time.Sleep(time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		slow := r.publish("jobs.acme.slow", "")
		giveUp(t, r, 4)
		for range 6 {
			h := record(func(ctx context.Context, _ *consumer.Message) error {
				<-ctx.Done()
				return ctx.Err()
			})
			r.run(cfg, h)
			time.Sleep(10 * time.Second)
			if runs := h.all(); len(runs) != 1 || runs[0].m.Sequence != slow {
				t.Fatalf("ran %+v", runs)
			}
			_ = r.stop()
		}
		if letters := r.letters(); len(letters) != 0 {
			t.Errorf("an innocent message was convicted: %v", letters[0].Header)
		}
		h := record(nil)
		r.run(cfg, h)
		time.Sleep(10 * time.Second)
		if runs := h.all(); len(runs) != 1 || runs[0].m.Sequence != slow || runs[0].m.Attempt != 1 {
			t.Errorf("ran %+v, want the message once, on its first attempt", runs)
		}
	})
}

// giveUp takes whatever the durable w has, n times, and settles nothing.
func giveUp(t *testing.T, r *rig, n int) {
	t.Helper()
	c, err := r.js.Consumer(t.Context(), "JOBS", "w")
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		batch, err := c.Fetch(10, jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for range batch.Messages() {
		}
	}
}
