package consumer_test

import (
	"context"
	"fmt"
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
				}
				time.Sleep(5 * time.Second)
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
