package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// wantWithinBuffer checks that what a process holds and has asked for is within its
// buffer, when every goroutine waits.
func (p *process) wantWithinBuffer() {
	p.t.Helper()
	synctest.Wait()
	s := p.c.Snapshot()
	asked := 0
	for _, l := range s.Lanes {
		asked += l.Requested
	}
	if s.Held+asked > s.HeldMax {
		p.t.Fatalf("%d held and %d asked for, of at most %d", s.Held, asked, s.HeldMax)
	}
	if s.HeldBytes > s.HeldBytesMax {
		p.t.Fatalf("%d bytes held, of at most %d", s.HeldBytes, s.HeldBytesMax)
	}
}

func TestWhatIsHeldAndAskedForStaysWithinTheBuffer(t *testing.T) {
	for _, buffer := range []int{4, 8, 9, 10, 33, 300} {
		for _, workers := range []int{1, 16} {
			t.Run(fmt.Sprintf("%d messages, %d workers", buffer, workers), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					r := newRig(t)
					ids := r.publishMany("m", 400, 0)
					l := newLedger(func(_ context.Context, m *consumer.Message) error {
						time.Sleep(20 * time.Millisecond)
						if strings.HasSuffix(string(m.Data), "9") && m.Attempt < 3 {
							return consumer.RetryAfter(errors.New("once more"), 50*time.Millisecond)
						}
						return nil
					})
					p := r.process(config(t, func(cfg *consumer.Config) {
						cfg.Buffer.Messages, cfg.Workers, cfg.Tenants.OnOverflow = buffer, workers, consumer.OverflowHold
						cfg.AckWait = 2 * time.Second // for what is on its way when the connection is cut
					}), l)
					done := func() bool {
						return l.handled() == len(ids) && p.c.Snapshot().Held == 0 && r.settled() && r.streamMsgs("JOBS_OVERFLOW") == 0
					}
					for i := 0; !done(); i++ {
						if i > 3000 {
							t.Fatalf("stuck: %+v", p.c.Snapshot())
						}
						time.Sleep(7 * time.Millisecond)
						p.wantWithinBuffer()
						if i%10 == 0 {
							if n := r.ackPending("JOBS", "w"); n > buffer {
								t.Fatalf("%d unacknowledged, of at most %d", n, buffer)
							}
						}
						if i%100 == 50 {
							r.CutConnections(t)
						}
					}
					if err := p.stop(); err != nil {
						t.Error(err)
					}
					l.wantEach(t, ids, 1, 100)
				})
			})
		}
	}
}

// Workers that are free are not kept waiting for a larger batch.
func TestASmallBufferKeepsAllWorkersBusy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const workers = 8
		r := newRig(t)
		ids := r.publishMany("m", 400, 0)
		l := newLedger(func(_ context.Context, m *consumer.Message) error {
			time.Sleep(time.Second + time.Duration(m.Sequence%7)*100*time.Millisecond)
			return nil
		})
		r.process(config(t, func(cfg *consumer.Config) {
			cfg.Buffer.Messages, cfg.Workers, cfg.Tenants.OnOverflow = 12, workers, consumer.OverflowHold
		}), l)
		start := time.Now()
		eventually(t, 10*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		// 400 messages of 1.3 s on 8 workers are 65 s.
		if took := l.lastRun().Sub(start); took > 66*time.Second {
			t.Errorf("took %v: workers were idle", took)
		}
	})
}

// A header of five bytes on the wire takes 130 on the heap.
func TestABufferOfMessagesThatAreAllHeadersStaysWithinItsBytes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		header := make(nats.Header)
		for i := range 500 {
			header[fmt.Sprintf("%x", i)] = []string{""}
		}
		const n = 200
		for i := range n {
			m := &nats.Msg{Subject: fmt.Sprintf("jobs.t%d.x", i%10), Header: header, Data: fmt.Appendf(nil, "m-%d", i)}
			if _, err := r.js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		g := newGate(t)
		l := newLedger(g.waitOrEnd)
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Buffer.Bytes, cfg.Workers = 2<<20, 4
		}), l)
		for range 20 {
			time.Sleep(time.Second)
			p.wantWithinBuffer()
		}
		s := p.c.Snapshot()
		if s.HeldBytes < s.HeldBytesMax/4 {
			t.Errorf("only %d bytes of %d are held, of %d messages: %+v", s.HeldBytes, s.HeldBytesMax, s.Held, s.Lanes[0])
		}
		if perMessage := s.HeldBytes / int64(s.Held); perMessage < 500*100 {
			t.Errorf("%d bytes are counted for a message with 500 headers", perMessage)
		}
		g.release()
		for i := 0; l.handled() < n; i++ {
			if i > 1000 {
				t.Fatalf("stuck: %+v", p.c.Snapshot())
			}
			time.Sleep(10 * time.Millisecond)
			p.wantWithinBuffer()
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if s := p.c.Snapshot(); s.HeldBytes != 0 || s.Lanes[0].Credit == 0 {
			t.Errorf("after all: %+v", s)
		}
	})
}

func TestMessagesLargerThanTheLanesShareOfBytesDoNotStall(t *testing.T) {
	for _, size := range []int{2 << 10, 20 << 10, 40 << 10, 58 << 10, 63 << 10} {
		t.Run(fmt.Sprintf("%d KiB", size>>10), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				ids := r.publishMany("m", 30, size)
				ids = append(ids, r.publishMany("small", 100, 0)...)
				ids = append(ids, r.publishMany("more", 10, size)...)
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					time.Sleep(5 * time.Millisecond)
					if m.Attempt == 1 && strings.HasPrefix(string(m.Data), "more") {
						return consumer.RetryAfter(errors.New("once more"), time.Millisecond)
					}
					return nil
				})
				p := r.process(config(t, func(cfg *consumer.Config) { cfg.Buffer.Bytes = 64 << 10 }), l)
				start := time.Now()
				for i := 0; l.handled() < len(ids) || !r.settled() || r.streamMsgs("JOBS_OVERFLOW") > 0; i++ {
					if i > 3000 {
						t.Fatalf("stuck: %+v", p.c.Snapshot())
					}
					time.Sleep(10 * time.Millisecond)
					synctest.Wait()
					// One message of any size in each lane beyond the bytes.
					if s := p.c.Snapshot(); s.HeldBytes > s.HeldBytesMax+2*int64(size+1024) {
						t.Fatalf("%d bytes held, of at most %d", s.HeldBytes, s.HeldBytesMax)
					}
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %v", took)
				}
				if err := p.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 2)
			})
		})
	}
}

func TestAMessageLargerThanTheBufferIsDeadLettered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.publishMany("small", 20, 0)
		r.publishMany("huge", 3, 200<<10)
		ids = append(ids, r.publishMany("after", 20, 0)...)
		l := newLedger(nil)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Buffer.Bytes = 64 << 10 }), l)
		eventually(t, time.Minute, "everything is settled", func() bool { return l.handled() == len(ids) && r.settled() })
		if n := p.c.Snapshot().DeadLetters[consumer.ReasonTooLarge]; n != 3 {
			t.Errorf("%d dead letters, want 3", n)
		}
		if n := len(r.letters()); n != 3 {
			t.Errorf("%d dead letters in the stream, want 3", n)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

// The limits of requests that somebody set on the durable are kept to.
func TestRequestsAreClampedToTheLimitsOfTheDurable(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit func(cfg *jetstream.ConsumerConfig)
	}{
		{"batch", func(cfg *jetstream.ConsumerConfig) { cfg.MaxRequestBatch = 10 }},
		{"batch of one", func(cfg *jetstream.ConsumerConfig) { cfg.MaxRequestBatch = 1 }},
		{"bytes", func(cfg *jetstream.ConsumerConfig) { cfg.MaxRequestMaxBytes = 1000 }},
		{"expires", func(cfg *jetstream.ConsumerConfig) { cfg.MaxRequestExpires = 200 * time.Millisecond }},
		{"all", func(cfg *jetstream.ConsumerConfig) {
			cfg.MaxRequestBatch, cfg.MaxRequestMaxBytes, cfg.MaxRequestExpires = 3, 5000, 100*time.Millisecond
		}},
	} {
		for _, buffer := range []int{4096, 12} {
			t.Run(fmt.Sprintf("%s, buffer %d", tt.name, buffer), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					r := newRig(t)
					cfg := byHand()
					tt.limit(&cfg)
					must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", cfg))
					ids := r.publishMany("m", 200, 0)
					ids = append(ids, r.publishMany("large", 3, 10<<10)...) // more than any limit of bytes
					l := newLedger(func(context.Context, *consumer.Message) error {
						time.Sleep(5 * time.Millisecond)
						return nil
					})
					p := r.process(config(t, func(cfg *consumer.Config) {
						cfg.Buffer.Messages, cfg.Workers, cfg.Tenants.OnOverflow = buffer, 4, consumer.OverflowHold
					}), l)
					start := time.Now()
					eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
					if took := l.lastRun().Sub(start); took > 5*time.Second {
						t.Errorf("took %v", took)
					}
					time.Sleep(time.Minute)
					fresh := r.publishMany("fresh", 5, 0)
					eventually(t, time.Second, "fresh ones are handled", func() bool { return l.handled() == len(ids)+len(fresh) })
					if err := p.c.Ready(); err != nil {
						t.Error(err)
					}
					if err := p.stop(); err != nil {
						t.Error(err)
					}
					l.wantEach(t, append(ids, fresh...), 1, 1)
				})
			})
		}
	}
}

// Another client has parked all the requests that the durable takes. Ours, with a
// heartbeat, are dropped without a word.
func TestALaneGetsItsTurnAfterAnotherClientParkedAllRequests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", byHand()))
		greedy := r.Conn(t)
		inbox := greedy.NewInbox()
		if _, err := greedy.Subscribe(inbox, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		for range 512 {
			if err := greedy.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.JOBS.w", inbox, []byte(`{"batch":1,"expires":60000000000}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := greedy.Flush(); err != nil {
			t.Fatal(err)
		}
		l := newLedger(nil)
		p := r.process(config(t, nil), l)
		time.Sleep(45 * time.Second)
		wantError(t, p.c.Ready(), "lane main")
		greedy.Close()
		ids := r.publishMany("m", 100, 0)
		eventually(t, 2*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, time.Minute, "ready", func() bool { return p.c.Ready() == nil })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}
