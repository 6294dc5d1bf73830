package consumer_test

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// publishRaw publishes with header lines as they are, which the Go client would not.
func (r *rig) publishRaw(subject, headers, data string) {
	r.t.Helper()
	conn, err := r.InProcessConn()
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	lines.Scan() // INFO
	head := "NATS/1.0\r\n" + headers + "\r\n"
	go fmt.Fprintf(conn, "CONNECT {\"headers\":true,\"verbose\":false}\r\nHPUB %s %d %d\r\n%s%s\r\nPING\r\n",
		subject, len(head), len(head)+len(data), head, data)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "-ERR") {
			r.t.Fatal(lines.Text())
		}
		if lines.Text() == "PONG" {
			return
		}
	}
	r.t.Fatal("the connection was closed")
}

func TestHeadersThatOurClientWouldRefuseAreCarriedToRetriesAndDeadLetters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(context.Context, *consumer.Message) error { return errBoom })
		r.publishRaw("jobs.acme.x", "X/Trace: 1\r\nX Space: 2\r\nPlain: 3\r\n", "data")
		r.run(config(t, func(cfg *consumer.Config) { cfg.Retry.MaxAttempts = 3 }), h)
		time.Sleep(time.Minute)
		runs := h.all()
		if len(runs) != 3 {
			t.Fatalf("ran %d times, want 3", len(runs))
		}
		for _, run := range runs {
			for k, want := range map[string]string{"X/Trace": "1", "X Space": "2", "Plain": "3"} {
				if got := run.m.Header[k]; len(got) != 1 || got[0] != want {
					t.Errorf("attempt %d saw %s: %q", run.m.Attempt, k, got)
				}
			}
		}
		if n := len(r.letters()); n != 1 {
			t.Errorf("%d dead letters", n)
		}
	})
}

func TestHeadersThatLeaveNoRoomForOursStillEndInADeadLetter(t *testing.T) {
	for name, size := range map[string]int{"for the error": 62_000, "for anything": 65_400} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				h := record(func(context.Context, *consumer.Message) error {
					return consumer.DeadLetter(fmt.Errorf("long: %s", strings.Repeat("e", 5000)))
				})
				r.publishRaw("jobs.acme.x", "Big: "+strings.Repeat("x", size)+"\r\n", "data")
				r.run(config(t, nil), h)
				time.Sleep(10 * time.Minute)
				if n := len(h.all()); n != 1 {
					t.Errorf("ran %d times, want once", n)
				}
				letters := r.letters()
				if len(letters) != 1 || letters[0].Header.Get("Spillway-Reason") != "permanent" || string(letters[0].Data) != "data" {
					t.Fatalf("%d dead letters", len(letters))
				}
				atOrigin := letters[0].Header.Get("Spillway-Headers") == "at-origin"
				if kept := len(letters[0].Header.Get("Big")) == size; kept == atOrigin {
					t.Errorf("headers kept: %v, said to be at the origin: %v", kept, atOrigin)
				}
			})
		})
	}
}

func TestAMessageLargerThanWhatIsFreeKeepsNobodyWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(ctx context.Context, m *consumer.Message) error {
			if m.Tenant == "slow" {
				<-ctx.Done()
			}
			return ctx.Err()
		})
		r.run(config(t, func(cfg *consumer.Config) { cfg.Buffer.Bytes = 1 << 20 }), h)
		time.Sleep(time.Second)
		r.publish("jobs.slow.x", strings.Repeat("x", 100<<10))
		time.Sleep(time.Second)
		at := time.Now()
		big := r.publish("jobs.big.x", strings.Repeat("x", 700<<10))
		quiet := r.publish("jobs.quiet.x", "")
		time.Sleep(time.Minute)
		if got := h.bySequence(); got[big] != 1 || got[quiet] != 1 {
			t.Fatalf("runs %v", got)
		}
		for _, run := range h.all() {
			if wait := run.at.Sub(at); wait > time.Second {
				t.Errorf("message %d waited %v", run.m.Sequence, wait)
			}
		}
	})
}

func TestRollingDeploysMakeNoSuspects(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		const n = 60
		for i := range n {
			r.publish(fmt.Sprintf("jobs.t%d.x", i%7), "")
		}
		var mu sync.Mutex
		done := make(map[uint64]int)
		h := consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			done[m.Sequence]++
			if m.Attempt != 1 {
				t.Errorf("message %d is on attempt %d", m.Sequence, m.Attempt)
			}
			return nil
		})
		for range 6 {
			r.run(config(t, func(cfg *consumer.Config) {
				cfg.Workers = 2
				cfg.DrainTimeout = time.Second
				cfg.Logger = nil
			}), h)
			time.Sleep(3 * time.Second)
			_ = r.stop()
			if got := r.settledAs(consumer.OutcomeSuspect); got != 0 {
				t.Fatalf("%d messages became suspects", got)
			}
		}
		r.run(config(t, nil), h)
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(done) != n || r.settledAs(consumer.OutcomeSuspect) != 0 {
			t.Errorf("%d of %d done, %d suspects", len(done), n, r.settledAs(consumer.OutcomeSuspect))
		}
	})
}

func TestAMessageTooLargeForTheSuspectsThatKillsTheProcessIsConvictedAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.MaxPayload = 64 << 10 }))
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		s.Stream(t, "JOBS", "jobs.>")
		r.publish("jobs.acme.x", strings.Repeat("x", 64<<10))
		f := &fleet{r: r, cfg: config(t, func(cfg *consumer.Config) {
			cfg.AckWait = 5 * time.Second
			cfg.DrainTimeout = time.Millisecond
			cfg.Retry.MaxAttempts = 5
			cfg.Logger = nil
		})}
		f.handle = func(context.Context, *consumer.Message) bool { return true }
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { f.process(ctx) })
		time.Sleep(10 * time.Minute)
		cancel()
		wg.Wait()
		letters := r.letters()
		if len(letters) != 1 || letters[0].Header.Get("Spillway-Reason") != "crash" {
			t.Fatalf("%d dead letters after %d crashes", len(letters), f.crashes)
		}
		if f.crashes > 6 {
			t.Errorf("%d crashes", f.crashes)
		}
	})
}

func TestATenantFuncThatPanicsDeadLettersTheMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		r.publish("jobs.bad.x", "")
		r.publish("jobs.good.x", "")
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Tenant = func(subject string, _ nats.Header) string {
				if subject == "jobs.bad.x" {
					panic("no")
				}
				return "good"
			}
		}), h)
		time.Sleep(time.Second)
		if len(h.all()) != 1 || len(r.letters()) != 1 {
			t.Errorf("%d runs, %d dead letters", len(h.all()), len(r.letters()))
		}
	})
}
