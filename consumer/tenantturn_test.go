package consumer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// far is a RateLimiter whose tokens are a round trip away: who finds none starts a fetch, and
// has the token when it asks again after that.
type far struct {
	trip time.Duration

	mu     sync.Mutex
	bucket *limiter.TokenBucket // at the other end
	answer time.Time            // when a fetch that is under way has ended
	pocket int
}

func (f *far) AllowN(now time.Time, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.answer.IsZero() && !now.Before(f.answer) {
		f.answer = time.Time{}
		f.pocket++
	}
	if f.pocket >= n {
		f.pocket -= n
		return true
	}
	if f.answer.IsZero() && f.bucket.AllowN(now, n) {
		f.answer = now.Add(f.trip)
	}
	return false
}

func (f *far) Next(now time.Time, n int) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.answer.IsZero() {
		return f.answer, true
	}
	return f.bucket.Next(now, n)
}

func (f *far) Refund(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pocket += n
}

// A message that found no token keeps its turn: the round trip for one is all that it waits.
func TestATenantHasItsSharedRateAmongBusyOthersThoughTokensAreFarAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const rate, others, backlog, lasts = 25, 10, 800, 20 * time.Second // of 300/s, a fair share is 27.3/s
		r := newRig(t)
		random, mu := rand.New(rand.NewPCG(1, 2)), sync.Mutex{}
		h := record(func(context.Context, *consumer.Message) error {
			mu.Lock()
			took := 20*time.Millisecond + time.Duration(random.ExpFloat64()*float64(20*time.Millisecond))
			mu.Unlock()
			time.Sleep(took)
			return nil
		})
		for range backlog {
			r.publish("jobs.acme.x", "")
			for i := range others {
				r.publish(fmt.Sprintf("jobs.t%d.x", i), "")
			}
		}
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.Queue, cfg.Buffer.Messages, cfg.Buffer.TargetDelay = 12, backlog*2, (others+1)*backlog, time.Hour
			cfg.AckWait = time.Hour
			cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
				if tenant == "acme" {
					p.Rate, p.SharedRate = limiter.Rate{Events: rate, Per: time.Second, Burst: 3}, true
				}
			}
			cfg.SharedRate = func(_ string, r limiter.Rate) (consumer.RateLimiter, error) {
				b, err := limiter.NewTokenBucket(r)
				return &far{trip: time.Millisecond, bucket: b}, err
			}
		}), h)
		awaitRunning(t, p)
		time.Sleep(5 * time.Second)
		from := len(h.all())
		time.Sleep(lasts)
		runs, acme := h.all()[from:], 0
		for _, run := range runs {
			if run.m.Tenant == "acme" {
				acme++
			}
		}
		part := float64(acme) / lasts.Seconds() / rate
		t.Logf("%.3f of its rate, of %.0f/s in all", part, float64(len(runs))/lasts.Seconds())
		if part < 0.97 {
			t.Errorf("it had %.3f of its rate", part)
		}
	})
}
