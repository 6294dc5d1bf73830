package load_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

// What it costs to know when the next request is due.
func BenchmarkSchedule(b *testing.B) {
	for name, arrivals := range map[string]load.Arrivals{"constant": load.Constant, "poisson": load.Poisson} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s, err := load.NewSchedule(parsed(b, "0/s..1000/s:160h"), arrivals, 1, load.ZipfTenants("t", 100, 1))
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for range s.All() {
				if n++; n >= b.N {
					return
				}
			}
		})
	}
}

// instant is a target that costs nothing.
type instant struct{}

func (instant) Start(_ context.Context, c *load.Call) { c.Done(nil) }

// What a request costs the generator: at ten million a second it sends as fast as it can.
func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	const rate = 1e7
	r := runner(b, load.Config{
		Stages:   []load.Stage{{From: rate, To: rate, For: max(time.Microsecond, time.Duration(b.N)*time.Second/rate)}},
		MaxDelay: time.Hour,
	})
	res := r.Run(b.Context(), instant{})
	balanced(b, res)
	b.ReportMetric(float64(res.Sent)/float64(b.N), "sent/op")
}

// What a request over HTTP costs, client and server in one process.
func BenchmarkHTTP(b *testing.B) {
	b.ReportAllocs()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	target, err := load.NewHTTP(load.HTTPConfig{URL: server.URL})
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	const rate = 1e7
	r := runner(b, load.Config{
		Stages:      []load.Stage{{From: rate, To: rate, For: max(time.Microsecond, time.Duration(b.N)*time.Second/rate)}},
		MaxInFlight: 16, MaxDelay: time.Hour, // no more than it takes to be busy
	})
	res := r.Run(b.Context(), target)
	balanced(b, res)
	if res.Failed > 0 {
		b.Fatalf("failures: %v", res.Failures)
	}
}

// How precisely the generator sends, at rates that leave it time to sleep.
func BenchmarkLag(b *testing.B) {
	for _, rate := range []float64{1000, 20_000, 100_000} {
		b.Run(strconv.FormatFloat(rate, 'f', 0, 64), func(b *testing.B) {
			r := runner(b, load.Config{
				Stages:   []load.Stage{{From: rate, To: rate, For: max(time.Millisecond, time.Duration(float64(b.N)/rate*float64(time.Second)))}},
				Arrivals: load.Poisson,
			})
			res := r.Run(b.Context(), instant{})
			b.ReportMetric(float64(res.Lag.Quantile(0.5).Microseconds()), "p50-µs")
			b.ReportMetric(float64(res.Lag.Quantile(0.99).Microseconds()), "p99-µs")
		})
	}
}
