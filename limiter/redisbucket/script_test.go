package redisbucket

import (
	"context"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/limiter"
)

// onRedis runs the script with a client to a real server, whose state it can set.
func onRedis(t *testing.T) redis.UniversalClient {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	dir := t.TempDir()
	t.Chdir(dir) // so that the name of the socket is short
	cmd := exec.Command(binary, "--port", "0", "--unixsocket", "s", "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client, err := Dial("unix://s")
	if err != nil {
		client = redis.NewClient(&redis.Options{Network: "unix", Addr: "s", ContextTimeoutEnabled: true})
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for begun := time.Now(); client.Ping(t.Context()).Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("redis-server does not answer")
		}
	}
	return client
}

// A call is one run of the script on a bucket whose state is as given.
type call struct {
	state       string
	rate        limiter.Rate
	want, least int64
	bound       float64
}

func (c call) run(ctx context.Context, t interface {
	Helper()
	Fatal(args ...any)
}, client redis.UniversalClient,
) (r reply, tokens, at float64, ttl int64) {
	t.Helper()
	terms, err := newTerms(c.rate, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if c.state == "" {
		client.Del(ctx, "k")
	} else {
		client.Set(ctx, "k", c.state, 0)
	}
	f := &fetch{entry: &entry{name: "k"}, terms: terms, want: c.want, least: c.least, bound: c.bound}
	run(ctx, client, []*fetch{f})
	if f.err != nil {
		t.Fatal(f.err)
	}
	state, err := client.Get(ctx, "k").Result()
	if err == nil {
		had, when, _ := strings.Cut(state, " ")
		tokens, _ = strconv.ParseFloat(had, 64)
		at, _ = strconv.ParseFloat(when, 64)
		ttl, _ = client.Do(ctx, "PTTL", "k").Int64() // ms; a Duration could not hold it
	}
	return f.reply, tokens, at, ttl
}

func stateOf(tokens float64, at time.Time) string {
	return strconv.FormatFloat(tokens, 'g', 17, 64) + " " + strconv.FormatInt(at.UnixMicro(), 10)
}

// The state is far in the future, so that nothing accrues: what the script answers is exact.
func TestTheScriptTakesWhatIsThereAndSaysWhatIsLeft(t *testing.T) {
	client := onRedis(t)
	rate := limiter.Rate{Events: 10, Per: time.Second, Burst: 20}
	later := time.Now().Add(time.Hour)
	for _, tt := range []struct {
		name              string
		c                 call
		taken, left, next int64
		tokens            float64
	}{
		{"a missing key is a full bucket", call{"", rate, 5, 1, unbounded}, 5, 15, 100_000, 15},
		{"as many as there are", call{stateOf(3.75, later), rate, 5, 1, unbounded}, 3, 0, 25_000, 0.75},
		{"none if less is of no use", call{stateOf(3.75, later), rate, 5, 4, unbounded}, 0, 3, 25_000, 3.75},
		{"no fraction of one", call{stateOf(0.999999, later), rate, 5, 1, unbounded}, 0, 0, 1, 0.999999},
		{"no more than the bound", call{"", rate, 5, 1, 2.5}, 2, 0, 50_000, 0.5},
		{"a bound of none", call{"", rate, 5, 1, 0}, 0, 0, 100_000, 0},
		{"none is wanted", call{stateOf(3, later), rate, 0, 0, unbounded}, 0, 3, 100_000, 3},
		{"what is no state is a full bucket", call{"nonsense", rate, 1, 1, unbounded}, 1, 19, 100_000, 19},
		{"more than its capacity is not there", call{stateOf(500, later), rate, 50, 1, unbounded}, 20, 0, 100_000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, tokens, at, ttl := tt.c.run(t.Context(), t, client)
			if r.taken != tt.taken || r.left != tt.left || r.nextMicros < tt.next || r.nextMicros > tt.next+1 {
				t.Errorf("took %+v, want %d, %d left, the next in %d", r, tt.taken, tt.left, tt.next)
			}
			if math.Abs(tokens-tt.tokens) > 1e-9 {
				t.Errorf("wrote %v tokens, want %v", tokens, tt.tokens)
			}
			if now := float64(time.Now().UnixMicro()); at > now || at < now-60e6 {
				t.Errorf("wrote the time %.0f, it is %.0f", at, now)
			}
			if full := (20 - tt.tokens) / 10 * 1000; float64(ttl) > full+1 || float64(ttl) < full-1000 {
				t.Errorf("expires in %d ms, is full in %v", ttl, full)
			}
		})
	}
}

func TestARefusalWritesNothing(t *testing.T) {
	client := onRedis(t)
	state := stateOf(0.25, time.Now())
	r, tokens, at, _ := call{state, limiter.Rate{Events: 1, Per: time.Hour, Burst: 1}, 1, 1, unbounded}.run(t.Context(), t, client)
	if r.taken != 0 || stateOf(tokens, time.UnixMicro(int64(at))) != state {
		t.Errorf("took %d and wrote %v at %.0f over %q", r.taken, tokens, at, state)
	}
}

// Whatever the rate and the burst are, down to a millisecond and up to thousands of years to
// fill: no error, no token more, and the digits of times and tokens are kept.
func TestTheScriptIsExactAtAllRates(t *testing.T) {
	client := onRedis(t)
	rapid.Check(t, func(rt *rapid.T) {
		rate := limiter.Rate{
			Events: rapid.Float64Range(1e-3, 1e9).Draw(rt, "events"),
			Per:    time.Second,
			Burst:  rapid.IntRange(1, 1e9).Draw(rt, "burst"),
		}
		terms, err := newTerms(rate, 200*time.Millisecond)
		if err != nil {
			rt.Fatal(err)
		}
		had := rapid.Float64Range(0, float64(terms.capacity)).Draw(rt, "tokens")
		want := rapid.Int64Range(0, terms.capacity).Draw(rt, "want")
		later := time.Now().Add(time.Hour)
		r, tokens, at, ttl := call{stateOf(had, later), rate, want, min(want, 1), unbounded}.run(t.Context(), rt, client)
		taken := min(want, int64(had))
		if r.taken != taken {
			rt.Fatalf("of %v tokens %d were wanted: took %d", had, want, r.taken)
		}
		soon := (float64(terms.capacity)-had+float64(taken))/rate.Events < 1 // it may expire before it is read
		if soon && at == 0 {
			return
		}
		if tokens != had-float64(taken) {
			rt.Fatalf("of %v tokens %d were taken: left %v, want %v", had, taken, tokens, had-float64(taken))
		}
		if at != math.Trunc(at) || at < 1.7e15 {
			rt.Fatalf("wrote the time %v", at)
		}
		if ttl <= 0 && !soon {
			rt.Fatalf("expires in %d ms", ttl)
		}
	})
}

// One token an hour in a bucket that holds a thousand million, half full: what accrues is at
// the end of what a float can tell.
func TestTheLongRunErrorIsBelowAMillionth(t *testing.T) {
	client := onRedis(t)
	rate := limiter.Rate{Events: 1, Per: time.Hour, Burst: 1e9}
	const half = 5e8 + 0.1
	tokens, due, taken := half, 0.0, int64(0)
	for range 2_000 {
		before := time.Now().Add(-time.Hour)
		r, left, at, _ := call{stateOf(tokens, before), rate, 1, 1, unbounded}.run(t.Context(), t, client)
		taken += r.taken
		due += (at - float64(before.UnixMicro())) / 3600e6
		tokens = left
	}
	if accrued := tokens + float64(taken) - half; math.Abs(accrued-due) > 1e-6*due {
		t.Errorf("%.9f tokens accrued, want %.9f", accrued, due)
	}
}
