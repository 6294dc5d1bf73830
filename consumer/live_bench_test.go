package consumer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// How long it takes from the call of SetTenant in one process until another treats the
// tenant so.
func BenchmarkSetTenantReachesAnotherProcess(b *testing.B) {
	s := consumertest.NewServer(b)
	s.Stream(b, "JOBS", "jobs.>")
	cfg := consumer.Config{Stream: "JOBS", Durable: "w", Tenant: consumer.SubjectToken(2)}
	var cs []*consumer.Consumer
	for range 2 {
		c, err := consumer.New(s.JetStream(b), cfg, newLedger(nil))
		if err != nil {
			b.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Run(b.Context()) }()
		b.Cleanup(func() { <-ended })
		cs = append(cs, c)
	}
	for _, c := range cs {
		for c.Ready() != nil {
			time.Sleep(time.Millisecond)
		}
	}
	time.Sleep(100 * time.Millisecond) // both watch
	var took []time.Duration
	n := 0
	for b.Loop() {
		n = n%1000 + 1
		start := time.Now()
		if err := cs[0].SetTenant(b.Context(), "acme", consumer.TenantPatch{MaxInFlight: &n}, 0); err != nil {
			b.Fatal(err)
		}
		for cs[1].Tenant("acme").MaxInFlight != n {
			time.Sleep(10 * time.Microsecond)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1e3, "max-ms")
}
