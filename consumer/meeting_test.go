package consumer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// The retry lane is shared: who may not start shall not keep it from the others.
func TestRetriesOfAPausedTenantLeaveThoseOfOthersTheirLane(t *testing.T) {
	for _, overflow := range []consumer.OverflowPolicy{
		consumer.OverflowSpill, consumer.OverflowDelay, consumer.OverflowDrop, consumer.OverflowHold,
	} {
		t.Run(string(overflow), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				var broken, bolt atomic.Bool
				broken.Store(true)
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					if m.Tenant == "acme" && broken.Load() || m.Tenant == "bolt" && bolt.CompareAndSwap(false, true) {
						return errBoom
					}
					return nil
				})
				p := r.process(config(t, func(cfg *consumer.Config) {
					cfg.Buffer.Messages = 64 // 8 of them are for retries
					cfg.Tenants.OnOverflow = overflow
					cfg.Retry.Initial, cfg.Retry.Max = 10*time.Second, 10*time.Second
				}), l)
				awaitRunning(t, p)
				var ids []string
				for i := range 40 {
					ids = append(ids, fmt.Sprint("acme-", i))
					r.publish("jobs.acme.x", ids[i])
					time.Sleep(50 * time.Millisecond) // so that its queue takes them all
				}
				time.Sleep(3 * time.Second)
				p.set("acme", paused(), 0)
				time.Sleep(10 * time.Second) // their retries are due
				ids = append(ids, "bolt")
				r.publish("jobs.bolt.x", "bolt")
				time.Sleep(time.Minute)
				l.mu.Lock()
				if n := l.runs["bolt"]; n != 2 {
					t.Errorf("in a minute the message of another tenant ran %d times, want a second time after 10 s", n)
				}
				l.mu.Unlock()
				broken.Store(false)
				p.set("acme", resumed(), 0)
				eventually(t, 10*time.Minute, "all are handled", r.nothingLeft)
				l.wantEach(t, ids, 2, 2)
			})
		})
	}
}

// However often a queue is moved out of the way, and whatever comes meanwhile.
func TestAQueueThatIsMovedOutAgainAndAgainKeepsItsOrder(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 1))
				r, o := newRig(t), newOrder(takes(5*time.Millisecond))
				p := r.process(config(t, func(cfg *consumer.Config) {
					cfg.Workers, cfg.Tenants.MaxInFlight = 4, 1 // so that what begins later is later
					cfg.Buffer.Messages = 512
				}), o)
				awaitRunning(t, p)
				var ids []string
				for range 12 {
					for k := range 10 {
						if random.IntN(3) > 0 {
							for range random.IntN(120) {
								ids = append(ids, fmt.Sprint("m", len(ids)))
								r.publish(fmt.Sprintf("jobs.t%d.x", k), ids[len(ids)-1])
							}
						}
						if random.IntN(2) > 0 {
							p.set(fmt.Sprint("t", k), paused(), 0)
						} else {
							p.set(fmt.Sprint("t", k), resumed(), 0)
						}
					}
					time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
				}
				for k := range 10 {
					p.set(fmt.Sprint("t", k), resumed(), 0)
				}
				eventually(t, 10*time.Minute, "all are handled", r.nothingLeft)
				o.wantEach(t, ids, 1, 1)
				o.want(t)
			})
		})
	}
}
