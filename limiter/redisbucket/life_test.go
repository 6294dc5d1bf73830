package redisbucket_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

func TestKeysAreForgottenAndBounded(t *testing.T) {
	c := redisbucket.Config{Rate: perSecond(100, 10), MaxKeys: 100, Forget: 10 * time.Second}
	inBubble(t, c, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		b := bucket(t, l, "handle", perSecond(3, 1))
		for i := range 1_000 {
			if ok, err := l.Allow(t.Context(), strconv.Itoa(i)); !ok || err != nil {
				t.Fatal(i, ok, err)
			}
		}
		if n := l.Stats().Keys; n != 100 {
			t.Errorf("%d keys are remembered, want 100", n)
		}
		time.Sleep(20 * time.Second)
		if s := l.Stats(); s.Keys != 0 || s.Admitted != 1_000 {
			t.Errorf("%d keys are remembered, %d tokens, want 0 and 1000", s.Keys, s.Admitted)
		}
		if err := b.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if r, err := b.Rate(); err != nil || r.Events != 3 {
			t.Errorf("the rate of a bucket that was forgotten is %v, %v", r, err)
		}
	})
}

func TestTooManyKeysThatWaitAreAnError(t *testing.T) {
	c := redisbucket.Config{Rate: limiter.Rate{Events: 1, Per: time.Hour, Burst: 1}, MaxKeys: 2}
	inBubble(t, c, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for i := range 2 {
			key := strconv.Itoa(i)
			if ok, err := l.Allow(ctx, key); !ok || err != nil {
				t.Fatal(ok, err)
			}
			go func() { _ = l.Wait(ctx, key) }()
		}
		synctest.Wait()
		if _, err := l.Allow(ctx, "third"); !errors.Is(err, redisbucket.ErrKeys) {
			t.Errorf("a third key: %v", err)
		}
		for _, key := range []string{"", strings.Repeat("x", 513)} {
			if _, err := l.Allow(ctx, key); err == nil {
				t.Errorf("a key of %d bytes is taken", len(key))
			}
		}
	})
}

func TestCloseEndsAllWhoWait(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: limiter.Rate{Events: 1, Per: time.Hour, Burst: 1}}, func(t *testing.T, l *redisbucket.Limiter, f *fake) {
		b := bucket(t, l, "k", limiter.Rate{})
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error)
		go func() { waited <- l.Wait(context.Background(), "k") }()
		synctest.Wait()
		l.Close()
		l.Close()
		if err := <-waited; !errors.Is(err, redisbucket.ErrClosed) {
			t.Errorf("who waited: %v", err)
		}
		if _, err := l.Allow(t.Context(), "k"); !errors.Is(err, redisbucket.ErrClosed) {
			t.Errorf("Allow: %v", err)
		}
		if _, err := l.Allow(t.Context(), "new"); !errors.Is(err, redisbucket.ErrClosed) {
			t.Errorf("Allow of a new key: %v", err)
		}
		if _, ok := b.Next(time.Now(), 1); ok || b.Allow() {
			t.Error("a bucket admits after Close")
		}
		f.change(func() {
			if n := len(f.model.lives); n != 0 {
				t.Errorf("%d processes live after Close", n)
			}
		})
	})
}

// The callback runs without a lock: it may ask for what it is told of.
func TestTheCallbackMayCallTheLimiter(t *testing.T) {
	var l atomic.Pointer[redisbucket.Limiter]
	var told []string
	c := redisbucket.Config{Rate: perSecond(100, 10)}
	c.OnDegraded = func(degraded bool) {
		_, err := l.Load().Allow(context.Background(), "other")
		told = append(told, fmt.Sprintf("%t %t %v", degraded, l.Load().Degraded(), err))
	}
	inBubble(t, c, func(t *testing.T, lim *redisbucket.Limiter, f *fake) {
		l.Store(lim)
		f.stop()
		for range 3 {
			if _, err := lim.Allow(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if s := lim.Stats(); !s.Degraded || s.Cause == nil || s.Since.IsZero() {
			t.Errorf("without Redis: %+v", s)
		}
		f.start()
		time.Sleep(5 * time.Second)
		if s := lim.Stats(); s.Degraded || s.Alone != 0 {
			t.Errorf("with Redis again: %+v", s)
		}
		if got := strings.Join(told, ", "); got != "true true <nil>, false false <nil>" {
			t.Errorf("told: %s", got)
		}
	})
}

func TestRedisMayForgetTheScript(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(100, 10)}, func(t *testing.T, l *redisbucket.Limiter, f *fake) {
		for range 5 {
			f.change(func() { clear(f.scripts) })
			if ok, err := l.Allow(t.Context(), "k"); !ok || err != nil {
				t.Error(ok, err)
			}
			time.Sleep(time.Second)
		}
		if s := l.Stats(); s.WithoutRedis > 0 {
			t.Errorf("%d were admitted without Redis", s.WithoutRedis)
		}
	})
}

func TestAConfigSaysAllThatIsWrongWithIt(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	_, err := redisbucket.New(client, redisbucket.Config{
		Rate: perSecond(0, -1), Prefix: "a{b}", Lease: time.Minute, OnError: "maybe", Processes: -1,
		Heartbeat: time.Millisecond, MaxKeys: -1,
	})
	for _, want := range []string{
		"Rate.Events", "Rate.Burst", "Config.Prefix", "Config.Lease is 1m0s", "Config.OnError", "Config.Processes is -1",
		"Config.Heartbeat is 1ms", "Config.MaxKeys is -1", "ContextTimeoutEnabled is false",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	_, err = redisbucket.New(nil, redisbucket.Config{Rate: perSecond(1, 1), Timeout: 51 * time.Millisecond, Forget: time.Millisecond})
	for _, want := range []string{"client is nil", "Config.Timeout is 51ms: must be from 1ms to 50ms", "Config.Forget is 1ms"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}
