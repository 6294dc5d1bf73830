package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/spillwaymq/spillway/internal/measure"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

const (
	redisParallel  = 16
	redisRatio     = 0.1    // of a call beside redis_rate
	redisTrips     = 0.05   // round trips a message
	redisPerSecond = 10_000 // of the fleet
	redisBurst     = 1_000
	redisFleet     = 8
	redisLease     = 200 * time.Millisecond // the default
)

// redisBuckets is what a rate costs that holds for a fleet.
func redisBuckets(ctx context.Context, e *env) ([]row, error) {
	s, err := startRedis(ctx)
	if err != nil {
		return nil, err
	}
	cost, err := s.cost(ctx, e)
	var fleet []row
	if err == nil {
		fleet, err = s.fleet(ctx, orDefault(e.lap, 10*time.Second))
	}
	return append(cost, fleet...), errors.Join(err, s.stop())
}

// redisServer is a redis-server of our own, on a socket.
type redisServer struct {
	cmd *exec.Cmd
	dir string
}

func startRedis(ctx context.Context) (*redisServer, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("bench: redis needs a redis-server: %w", err)
	}
	dir, err := os.MkdirTemp("", "rb")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	s := &redisServer{dir: dir}
	s.cmd = exec.Command(binary, "--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no")
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("bench: %w", err), os.RemoveAll(dir))
	}
	client := s.plain()
	defer func() { _ = client.Close() }()
	for begun := time.Now(); client.Ping(ctx).Err() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			return nil, errors.Join(errors.New("bench: redis-server does not answer"), s.stop())
		}
	}
	return s, nil
}

func (s *redisServer) socket() string { return filepath.Join(s.dir, "s") }

func (s *redisServer) plain() *redis.Client {
	return redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket()})
}

func (s *redisServer) stop() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
	return errors.Join(err, os.RemoveAll(s.dir))
}

// limiter returns a Limiter with a client of its own, and what closes both.
func (s *redisServer) limiter(r limiter.Rate) (*redisbucket.Limiter, func(), error) {
	client, err := redisbucket.Dial("unix://" + s.socket())
	if err != nil {
		return nil, nil, err
	}
	l, err := redisbucket.New(client, redisbucket.Config{Rate: r, Lease: redisLease})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return l, func() {
		l.Close()
		_ = client.Close()
	}, nil
}

// allow is one question, of which most are answered with yes.
type allow func(ctx context.Context) (bool, error)

// cost measures calls on one key from 16 goroutines.
func (s *redisServer) cost(ctx context.Context, e *env) ([]row, error) {
	names := []string{"redisbucket", "redis_rate"}
	took, allocs := make([][]float64, 2), make([]int64, 2)
	for round := range orDefault(e.repeat, 3) {
		for i := range names {
			i = (i + round) % len(names)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := s.startOurs
			if i == 1 {
				start = s.startPeer
			}
			res, err := benchAllow(start)
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", names[i], err)
			}
			took[i] = append(took[i], nsPerOp(res))
			allocs[i] = max(allocs[i], res.AllocsPerOp())
		}
		e.say("round %d  %s %.0f ns, %s %.0f ns", round+1,
			names[0], took[0][len(took[0])-1], names[1], took[1][len(took[1])-1])
	}
	ratio := measure.Median(measure.Ratios(took[0], took[1]))
	return []row{
		{
			Scenario: "redis", Claim: fmt.Sprintf("Allow on a hot key, %d in parallel, beside redis_rate", redisParallel),
			Peer: figure{measure.Median(took[1]), nanos}, Ours: figure{measure.Median(took[0]), nanos}, Ratio: ratio,
			Bound: fmt.Sprintf("ratio <= %.1f", redisRatio), Verdict: judge(ratio <= redisRatio),
			Note: fmt.Sprintf("allocations: theirs %d, ours %d", allocs[1], allocs[0]),
		},
	}, nil
}

func (s *redisServer) startOurs() (allow, func(), error) {
	l, stop, err := s.limiter(limiter.Rate{Events: 1e9, Per: time.Second, Burst: 1e8})
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context) (bool, error) { return l.Allow(ctx, "hot") }, stop, nil
}

func (s *redisServer) startPeer() (allow, func(), error) {
	client := s.plain()
	l, limit := redis_rate.NewLimiter(client), redis_rate.PerSecond(1e9)
	ask := func(ctx context.Context) (bool, error) {
		r, err := l.Allow(ctx, "hot", limit)
		return err == nil && r.Allowed > 0, err
	}
	return ask, func() { _ = client.Close() }, nil
}

// benchAllow fails if a question failed, or less than half were answered with yes.
func benchAllow(start func() (allow, func(), error)) (testing.BenchmarkResult, error) {
	var failure error
	res := testing.Benchmark(func(b *testing.B) {
		ask, stop, err := start()
		if err != nil {
			failure = err
			return
		}
		defer stop()
		var asked, admitted atomic.Int64
		b.ReportAllocs()
		b.SetParallelism(max(1, redisParallel/runtime.GOMAXPROCS(0)))
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			var n, yes int64
			for ; pb.Next(); n++ {
				ok, err := ask(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				if ok {
					yes++
				}
			}
			asked.Add(n)
			admitted.Add(yes)
		})
		if 2*admitted.Load() < asked.Load() {
			failure = fmt.Errorf("%d of %d were admitted", admitted.Load(), asked.Load())
		}
	})
	if failure == nil && res.N == 0 {
		failure = errors.New("it did not run to its end")
	}
	return res, failure
}

// fleet is eight limiters that ask for more than there is: what is admitted, and how often
// they ask Redis.
func (s *redisServer) fleet(ctx context.Context, lasts time.Duration) ([]row, error) {
	var asking, closing sync.WaitGroup
	var stats [redisFleet]redisbucket.Stats
	work, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	begun := time.Now()
	for i := range stats {
		l, stop, err := s.limiter(limiter.Rate{Events: redisPerSecond, Per: time.Second, Burst: redisBurst})
		if err != nil {
			cancel()
			asking.Wait()
			return nil, err
		}
		asking.Go(func() {
			for work.Err() == nil {
				if ok, _ := l.Allow(work, "fleet"); !ok {
					time.Sleep(100 * time.Microsecond)
				}
			}
			stats[i] = l.Stats()
			closing.Go(stop)
		})
	}
	asking.Wait()
	elapsed := time.Since(begun)
	closing.Wait()
	var admitted, without, trips float64
	for _, st := range stats {
		admitted += float64(st.Admitted)
		without += float64(st.WithoutRedis)
		trips += float64(st.RoundTrips)
	}
	if admitted == 0 {
		return nil, errors.New("bench: the fleet got nothing")
	}
	most := redisBurst + redisPerSecond*(elapsed+redisLease).Seconds()
	ofRate := (admitted - redisBurst) / (redisPerSecond * elapsed.Seconds())
	name := fmt.Sprintf("%d limiters on one key at %d/s", redisFleet, redisPerSecond)
	return []row{
		{
			Scenario: "redis", Claim: "round trips a message, " + name,
			Ours:  figure{trips / admitted, perMessage},
			Bound: fmt.Sprintf("<= %.2f", redisTrips), Verdict: judge(trips/admitted <= redisTrips),
			Note: fmt.Sprintf("%.0f without Redis", without),
		},
		{
			Scenario: "redis", Claim: "admitted of the rate, beside the burst, " + name,
			Ours:  figure{ofRate, share},
			Bound: "never above burst + rate x (T + lease)", Verdict: judge(admitted <= most),
			Note: fmt.Sprintf("%.4f: %.0f in %v, at most %.0f", ofRate, admitted, elapsed.Round(time.Millisecond), most),
		},
	}, nil
}
