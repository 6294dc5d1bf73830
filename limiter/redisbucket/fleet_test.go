package redisbucket_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

func perSecond(n float64, burst int) limiter.Rate {
	return limiter.Rate{Events: n, Per: time.Second, Burst: burst}
}

// patient is a config for a machine that does many things at once: a timeout that is not met
// there by chance would leave decisions to OnError.
func patient(r limiter.Rate) redisbucket.Config {
	return redisbucket.Config{Rate: r, Lease: 400 * time.Millisecond, Timeout: 100 * time.Millisecond}
}

// runFor is how long a fleet hammers: 20 s with SPILLWAY_LONG, else short.
func runFor(short time.Duration) time.Duration {
	if os.Getenv("SPILLWAY_LONG") != "" {
		return 20 * time.Second
	}
	return short
}

// hammer asks for tokens of key as fast as it is answered, from some goroutines, and returns
// how many it got. Between refusals it lets others run.
func hammer(ctx context.Context, l *redisbucket.Limiter, key string, goroutines int) (int64, error) {
	var wg sync.WaitGroup
	var got atomic.Int64
	var failure atomic.Pointer[error]
	for range goroutines {
		wg.Go(func() {
			for ctx.Err() == nil {
				ok, err := l.Allow(context.Background(), key)
				if err != nil {
					failure.CompareAndSwap(nil, &err)
					return
				}
				if ok {
					got.Add(1)
				} else {
					time.Sleep(200 * time.Microsecond)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return got.Load(), *err
	}
	return got.Load(), nil
}

// A fleet of eight limiters, each with its own client, as eight processes would be.
func TestAFleetAdmitsTheRateAndNeverMoreThanItsBound(t *testing.T) {
	for _, tt := range []struct {
		rate  float64
		burst int
	}{
		{10_000, 1_000},
		{500, 10},
		{2_000, 1}, // less than what accrues between two fetches
	} {
		t.Run(fmt.Sprintf("%g of %d", tt.rate, tt.burst), func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			c := patient(perSecond(tt.rate, tt.burst))
			var fleet []*redisbucket.Limiter
			for range 8 {
				fleet = append(fleet, newLimiter(t, s.url(), c))
			}
			ctx, cancel := context.WithTimeout(t.Context(), runFor(2*time.Second))
			defer cancel()
			begun := time.Now()
			var wg sync.WaitGroup
			var got atomic.Int64
			for _, l := range fleet {
				wg.Go(func() {
					n, err := hammer(ctx, l, "hot", 2)
					if err != nil {
						t.Error(err)
					}
					got.Add(n)
				})
			}
			wg.Wait()
			elapsed := time.Since(begun)
			judgeRate(t, float64(got.Load()), tt.rate, float64(tt.burst), elapsed, c.Lease)
			judgeFleet(t, fleet, tt.rate >= 10_000)
		})
	}
}

// judgeRate checks the bound, and that the rate was had. What the last leases held when the
// clock was stopped is not counted against it.
func judgeRate(t *testing.T, got, rate, burst float64, elapsed, lease time.Duration) {
	t.Helper()
	t.Logf("admitted %.0f in %v: %.4f of the rate", got, elapsed, (got-burst)/(rate*elapsed.Seconds()))
	if bound := most(rate, burst, elapsed, lease); got > bound {
		t.Errorf("admitted %.0f in %v, more than %.0f", got, elapsed, bound)
	}
	if least := 0.98*rate*elapsed.Seconds() - rate*lease.Seconds()/2; got < least {
		t.Errorf("admitted %.0f in %v, less than %.0f", got, elapsed, least)
	}
}

func judgeFleet(t *testing.T, fleet []*redisbucket.Limiter, fast bool) {
	t.Helper()
	var sum redisbucket.Stats
	for _, l := range fleet {
		st := l.Stats()
		sum.Admitted += st.Admitted
		sum.WithoutRedis += st.WithoutRedis
		sum.RoundTrips += st.RoundTrips
		sum.Processes = max(sum.Processes, st.Processes)
	}
	trips := float64(sum.RoundTrips) / float64(sum.Admitted)
	t.Logf("%d round trips for %d tokens: %.4f each; %d without Redis", sum.RoundTrips, sum.Admitted, trips, sum.WithoutRedis)
	if fast && trips > 0.05 {
		t.Errorf("%.4f round trips a token, more than 0.05", trips)
	}
	if sum.Processes != len(fleet) {
		t.Errorf("%d processes were counted, want %d", sum.Processes, len(fleet))
	}
}

func TestAThousandKeysAtOnceEachHaveTheirRate(t *testing.T) {
	t.Parallel()
	const keys, rate, burst = 1_000, 20, 5
	l := newLimiter(t, anyRedis(t), redisbucket.Config{
		Rate: perSecond(rate, burst), Lease: 2 * time.Second, Timeout: 500 * time.Millisecond,
	})
	ctx, cancel := context.WithTimeout(t.Context(), runFor(2*time.Second))
	defer cancel()
	begun := time.Now()
	var wg sync.WaitGroup
	var got [keys]atomic.Int64
	for i := range keys {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := l.Wait(ctx, "key "+strconv.Itoa(i)); err == nil {
					got[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(begun)
	var sum int64
	for i := range keys {
		n := got[i].Load()
		sum += n
		if bound := most(rate, burst, elapsed, 2*time.Second); float64(n) > bound {
			t.Errorf("key %d: admitted %d in %v, more than %.1f", i, n, elapsed, bound)
		}
		if n < burst {
			t.Errorf("key %d: admitted %d, less than its burst", i, n)
		}
	}
	st := l.Stats()
	t.Logf("%d keys, admitted %d in %v (%d without Redis), %d fetches in %d round trips", keys, sum, elapsed, st.WithoutRedis, st.Fetches, st.RoundTrips)
	if st.Keys != keys || st.RoundTrips > st.Fetches {
		t.Errorf("%d keys, %d fetches in %d round trips", st.Keys, st.Fetches, st.RoundTrips)
	}
}

// What a child process is told, and how it tells how many it got.
const childEnv = "REDISBUCKET_CHILD"

func childMain(out io.Writer) error {
	client, err := redisbucket.Dial(os.Getenv(childEnv))
	if err != nil {
		return err
	}
	defer client.Close()
	l, err := redisbucket.New(client, patient(perSecond(2_000, 100)))
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintln(out, "ready")
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // until the parent closes our input
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	n, err := hammer(ctx, l, "hot", 2)
	fmt.Fprintln(out, n)
	return err
}

func TestProcessesShareARate(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	type process struct {
		cmd *exec.Cmd
		in  io.Closer
		out *bufio.Scanner
	}
	begun := time.Now()
	var children []process
	for range 8 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childEnv+"="+s.url())
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, process{cmd, in, bufio.NewScanner(out)})
	}
	for _, c := range children {
		if !c.out.Scan() {
			t.Fatal("a child did not start")
		}
	}
	ready := time.Now()
	time.Sleep(runFor(2 * time.Second)) // the duration of the run, nothing is awaited
	hammered := time.Since(ready)
	for _, c := range children {
		_ = c.in.Close()
	}
	var sum int
	for _, c := range children {
		if !c.out.Scan() {
			t.Fatal("a child said nothing")
		}
		n, err := strconv.Atoi(strings.TrimSpace(c.out.Text()))
		if err != nil {
			t.Fatal(err)
		}
		sum += n
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	elapsed := time.Since(begun)
	const lease = 400 * time.Millisecond
	t.Logf("8 processes: admitted %d in at least %v and at most %v: from %.4f to %.4f of the rate", sum, hammered, elapsed,
		(float64(sum)-100)/(2_000*elapsed.Seconds()), (float64(sum)-100)/(2_000*hammered.Seconds()))
	if bound := most(2_000, 100, elapsed, lease); float64(sum) > bound {
		t.Errorf("admitted %d, more than %.0f", sum, bound)
	}
	if least := 0.98*2_000*hammered.Seconds() - 2_000*lease.Seconds()/2; float64(sum) < least {
		t.Errorf("admitted %d, less than %.0f", sum, least)
	}
}
