package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// must fails the test on an error of setting something up.
func TestADurableThatWasChangedByHandIsCorrected(t *testing.T) {
	change := byHand()
	change.MaxDeliver, change.BackOff, change.AckWait, change.MaxAckPending = 3, []time.Duration{time.Second, 2 * time.Second}, time.Second, 10
	correct := func(t *testing.T, r *rig) bool {
		got := r.info("JOBS", "w").Config
		return got.MaxDeliver == -1 && len(got.BackOff) == 0 && got.AckWait == 30*time.Second && got.MaxAckPending >= 1024
	}
	t.Run("at start", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", change))
			r.process(config(t, nil), newLedger(nil))
			eventually(t, 5*time.Second, "it is corrected", func() bool { return correct(t, r) })
		})
	})
	t.Run("while running", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			p := r.process(config(t, nil), newLedger(nil))
			time.Sleep(time.Second)
			must[jetstream.Consumer](t)(r.js.UpdateConsumer(t.Context(), "JOBS", change))
			eventually(t, time.Minute, "it is corrected", func() bool { return correct(t, r) })
			if err := p.c.Ready(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("what does no harm stays", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			own := byHand()
			own.Description, own.MaxAckPending, own.MaxDeliver = "ours", 1<<20, 5
			must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", own))
			r.process(config(t, nil), newLedger(nil))
			eventually(t, 5*time.Second, "it is corrected", func() bool { return r.info("JOBS", "w").Config.MaxDeliver == -1 })
			if got := r.info("JOBS", "w").Config; got.MaxAckPending != 1<<20 || got.Description != "ours" {
				t.Errorf("changed to %+v", got)
			}
		})
	})
}

func TestADurableThatCannotBeUsedIsAnErrorThatNamesIt(t *testing.T) {
	for _, tt := range []struct {
		name      string
		durable   func(cfg *jetstream.ConsumerConfig)
		unmanaged bool
		want      []string
	}{
		{"push based", func(cfg *jetstream.ConsumerConfig) { cfg.DeliverSubject = "somewhere" }, false, []string{"consumer w", "JOBS", "push"}},
		{"without acks", func(cfg *jetstream.ConsumerConfig) { cfg.AckPolicy = jetstream.AckNonePolicy; cfg.MaxAckPending = 0 }, false, []string{"consumer w", "JOBS", "AckNone", "explicit"}},
		{"acks all", func(cfg *jetstream.ConsumerConfig) { cfg.AckPolicy = jetstream.AckAllPolicy }, false, []string{"consumer w", "AckAll", "explicit"}},
		{"Unmanaged and different", func(cfg *jetstream.ConsumerConfig) {
			cfg.MaxDeliver, cfg.AckWait, cfg.FilterSubject = 3, time.Second, "jobs.a.>"
		}, true, []string{"consumer w", "max deliver is 3", "ack wait is 1s, must be 30s", "jobs.a.>", "Unmanaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				for _, s := range []jetstream.StreamConfig{
					{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew},
					{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}},
				} {
					r.createStream(s)
				}
				cfg := byHand()
				tt.durable(&cfg)
				req := fmt.Sprintf(`{"stream_name":"JOBS","config":%s}`, consumerJSON(t, cfg))
				answer := must[*nats.Msg](t)(r.js.Conn().Request("$JS.API.CONSUMER.DURABLE.CREATE.JOBS.w", []byte(req), time.Minute))
				if strings.Contains(string(answer.Data), `"error"`) {
					t.Fatalf("%s", answer.Data)
				}
				err := r.runOnce(config(t, func(cfg *consumer.Config) { cfg.Unmanaged = tt.unmanaged }))
				wantError(t, err, tt.want...)
			})
		})
	}
}

func TestADurableThatIsReplacedByAPushConsumerEndsRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		time.Sleep(time.Second)
		r.deleteConsumer("JOBS", "w")
		cfg := byHand()
		cfg.DeliverSubject = "somewhere"
		req := fmt.Sprintf(`{"stream_name":"JOBS","config":%s}`, consumerJSON(t, cfg))
		must[*nats.Msg](t)(r.js.Conn().Request("$JS.API.CONSUMER.DURABLE.CREATE.JOBS.w", []byte(req), time.Minute))
		eventually(t, time.Minute, "Run has returned", func() bool {
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		wantError(t, p.err, "consumer w", "push")
	})
}

func TestEveryRetentionIsConsumedToTheEnd(t *testing.T) {
	for _, retention := range []jetstream.RetentionPolicy{jetstream.LimitsPolicy, jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		t.Run(retention.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := consumertest.NewServer(t)
				r := &rig{Server: s, t: t, js: s.JetStream(t)}
				r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: retention})
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					if strings.HasSuffix(string(m.Data), "7") && m.Attempt == 1 {
						return errors.New("once more")
					}
					return nil
				})
				p := r.process(config(t, nil), l)
				time.Sleep(time.Second)
				ids := r.publishMany("m", 500, 0)
				time.Sleep(time.Minute)
				r.deleteConsumer("JOBS", "w") // on Interest nothing is left that could be lost by this
				time.Sleep(10 * time.Second)
				ids = append(ids, r.publishMany("after", 500, 0)...)
				time.Sleep(time.Minute)
				if err := p.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 2)
				want := uint64(0)
				if retention == jetstream.LimitsPolicy {
					want = uint64(len(ids))
				}
				if n := r.streamMsgs("JOBS"); n != want {
					t.Errorf("%d messages are left in the stream, want %d", n, want)
				}
				if n := r.streamMsgs("JOBS_OVERFLOW"); n != 0 {
					t.Errorf("%d copies are left", n)
				}
			})
		})
	}
}

func TestTwoDurablesWithFiltersEachTakeTheirs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.publishMany("m", 100, 0)
		one, two := newLedger(nil), newLedger(nil)
		r.process(config(t, func(cfg *consumer.Config) {
			cfg.Durable, cfg.FilterSubjects = "one", []string{"jobs.t1.>"}
		}), one)
		r.process(config(t, func(cfg *consumer.Config) {
			cfg.Durable, cfg.FilterSubjects = "two", []string{"jobs.t1.>", "jobs.t2.>"}
		}), two)
		time.Sleep(time.Minute)
		var ones, twos []string
		for i, id := range ids {
			if i%10 == 1 {
				ones = append(ones, id)
			}
			if i%10 == 1 || i%10 == 2 {
				twos = append(twos, id)
			}
		}
		one.wantEach(t, ones, 1, 1)
		two.wantEach(t, twos, 1, 1)
	})
}

func TestDeliverNewTakesOnlyWhatComesAfterTheDurableWasMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.publishMany("old", 10, 0)
		l := newLedger(nil)
		cfg := config(t, func(cfg *consumer.Config) { cfg.Deliver = jetstream.DeliverNewPolicy })
		p := r.process(cfg, l)
		time.Sleep(time.Second)
		ids := r.publishMany("new", 10, 0)
		time.Sleep(time.Second)
		r.deleteConsumer("JOBS", "w") // it is made again where it was, not at what is new then
		ids = append(ids, r.publishMany("meanwhile", 10, 0)...)
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		ids = append(ids, r.publishMany("stopped", 10, 0)...)
		again := r.process(cfg, l)
		time.Sleep(time.Minute)
		if err := again.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 2)
	})
}

func TestAJetStreamDomainIsReachedByItsPrefix(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.JetStreamDomain = "hub" }))
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
		l := newLedger(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt == 1 {
				return errors.New("once more")
			}
			return nil
		})
		js := must[jetstream.JetStream](t)(jetstream.NewWithDomain(r.Conn(t), "hub"))
		p := startWith(t, js, config(t, nil), l)
		ids := r.publishMany("m", 100, 0)
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 2, 2)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d are unacknowledged", n)
		}
	})
}

func TestTenThousandTenantsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		const tenants = 10_000
		ids := make([]string, tenants)
		for i := range ids {
			ids[i] = fmt.Sprintf("m-%d", i)
			if _, err := r.js.PublishAsync(fmt.Sprintf("jobs.tenant-%d.x", i), []byte(ids[i])); err != nil {
				t.Fatal(err)
			}
		}
		<-r.js.PublishAsyncComplete()
		l := newLedger(nil)
		p := r.process(config(t, nil), l)
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == tenants })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

func TestWhatTheServerForbidsIsNamedByRun(t *testing.T) {
	only := func(o *server.Options) {
		o.NoAuthUser = "admin"
		o.Users = []*server.User{
			{Username: "admin", Password: "x"},
			{Username: "worker", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.>"}},
			}},
			{Username: "reader", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.>"}},
			}},
		}
	}
	for _, tt := range []struct {
		user string
		want []string
	}{
		{"worker", []string{"JOBS", "permissions violation", "STREAM.INFO"}},
		{"reader", []string{"consumer w", "permissions violation", "CONSUMER.CREATE"}},
	} {
		t.Run(tt.user, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, consumertest.WithConfig(only))
				start := time.Now()
				err := r.runOnce(config(t, nil), nats.UserInfo(tt.user, "x"))
				for _, part := range tt.want {
					if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(part)) {
						t.Errorf("the error is %v, want it to name %q", err, part)
					}
				}
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("it took %v to say so", took)
				}
			})
		})
	}
}

func TestAMissingStreamIsAnErrorThatSaysWhatToDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		err := r.runOnce(config(t, nil))
		wantError(t, err, "stream JOBS does not exist", "Subjects")
		wantInWords(t, err, jetstream.ErrStreamNotFound)
	})
}

// wantInWords checks that an error speaks to people, and programs find its cause.
func wantInWords(t *testing.T, err, cause error) {
	t.Helper()
	if !errors.Is(err, cause) {
		t.Errorf("%v is not %v", err, cause)
	}
	for _, wire := range []string{"API error", "code=", "nats:", "context deadline"} {
		if err != nil && strings.Contains(err.Error(), wire) {
			t.Errorf("%q holds %q", err, wire)
		}
	}
}

func TestWhatTheServerRefusesIsToldInItsWords(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.createStream(jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"JOBS_DEAD.>"}})
		err := r.runOnce(config(t, nil))
		wantError(t, err, "stream JOBS_DEAD", "subjects overlap")
		api, ok := errors.AsType[*jetstream.APIError](err)
		if !ok {
			t.Fatalf("%v has no APIError", err)
		}
		wantInWords(t, err, api)
	})
}

func TestAnAccountWithoutJetStreamIsToldSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.JetStream = false }))
		js := must[jetstream.JetStream](t)(jetstream.New(s.Conn(t)))
		r := &rig{Server: s, t: t, js: js}
		err := r.runOnce(config(t, nil))
		wantError(t, err, "stream JOBS", "JetStream")
		wantInWords(t, err, nats.ErrNoResponders)
	})
}
