package metrics_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

var _ metrics.Source = (*consumer.Consumer)(nil)

// contract is every metric of the contract whose stage exists, with its labels
// beside stream and durable.
var contract = map[string]string{
	"spillway_messages_pulled_total":       "counter lane",
	"spillway_messages_settled_total":      "counter downstream outcome",
	"spillway_messages_shed_total":         "counter policy tenant",
	"spillway_messages_redelivered_total":  "counter",
	"spillway_overloads_total":             "counter downstream",
	"spillway_dead_letters_total":          "counter reason",
	"spillway_queue_depth":                 "gauge tenant",
	"spillway_queue_bytes":                 "gauge tenant",
	"spillway_overflow_messages":           "gauge tenant",
	"spillway_queue_wait_seconds":          "histogram downstream",
	"spillway_handle_seconds":              "histogram downstream result",
	"spillway_end_to_end_seconds":          "histogram downstream result",
	"spillway_in_flight":                   "gauge",
	"spillway_workers":                     "gauge",
	"spillway_stuck_handlers":              "gauge",
	"spillway_pull_batch_size":             "gauge lane",
	"spillway_pull_credit":                 "gauge lane",
	"spillway_pull_paused":                 "gauge reason",
	"spillway_backlog_messages":            "gauge",
	"spillway_lag_messages":                "gauge lane",
	"spillway_ack_pending":                 "gauge lane",
	"spillway_lag_seconds":                 "gauge",
	"spillway_leases_extended_total":       "counter",
	"spillway_leases_lost_total":           "counter",
	"spillway_tenant_worker_seconds_total": "counter tenant",
	"spillway_build_info":                  "gauge goversion version",
	"spillway_concurrency_limit":           "gauge downstream",
	"spillway_breaker_state":               "gauge downstream state",
	"spillway_tenant_noisy":                "gauge tenant",
	"spillway_rate_limit_degraded":         "gauge downstream",
	"spillway_tenant_rate_limits_degraded": "gauge",
}

func TestEveryMetricOfTheContractIsShownWithItsLabels(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	got := make(map[string]string)
	for _, f := range w.families() {
		words := []string{strings.ToLower(f.GetType().String())}
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() != "stream" && l.GetName() != "durable" {
				words = append(words, l.GetName())
			}
		}
		got[f.GetName()] = strings.Join(words, " ")
		for _, m := range f.GetMetric() {
			if value(m.GetLabel(), "stream") != "JOBS" || value(m.GetLabel(), "durable") != "worker" {
				t.Errorf("%s has the labels %v, must have stream and durable", f.GetName(), m.GetLabel())
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(contract)) {
		if got[name] != contract[name] {
			t.Errorf("%s is %q, want %q", name, got[name], contract[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("not in the contract: %v", got)
	}
}

func TestPromlintIsContent(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	problems, err := testutil.GatherAndLint(w.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestTheSnapshotIsShownAsItIs(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.want(map[string]float64{
		`spillway_workers`:                                 64,
		`spillway_in_flight`:                               7,
		`spillway_stuck_handlers`:                          2,
		`spillway_backlog_messages`:                        1000,
		`spillway_lag_seconds`:                             90,
		`spillway_leases_extended_total`:                   11,
		`spillway_leases_lost_total`:                       3,
		`spillway_messages_redelivered_total`:              9,
		`spillway_messages_pulled_total{lane="main"}`:      500,
		`spillway_lag_messages{lane="main"}`:               900,
		`spillway_ack_pending{lane="main"}`:                100,
		`spillway_pull_credit{lane="main"}`:                40,
		`spillway_pull_batch_size{lane="main"}`:            20,
		`spillway_messages_pulled_total{lane="retry"}`:     50,
		`spillway_pull_paused{reason="hold"}`:              1,
		`spillway_dead_letters_total{reason="attempts"}`:   4,
		`spillway_dead_letters_total{reason="crash"}`:      0,
		`spillway_overloads_total{downstream="billing"}`:   6,
		`spillway_queue_depth{tenant="acme"}`:              5,
		`spillway_queue_bytes{tenant="acme"}`:              512,
		`spillway_build_info{version="v1.2.3",goversion=}`: 1,
	})
}

func TestDownstreamsAreShownBeforeTheirFirstMessage(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.want(map[string]float64{
		`spillway_messages_settled_total{downstream="billing",outcome="ack"}`:     0,
		`spillway_messages_settled_total{downstream="billing",outcome="suspect"}`: 0,
		`spillway_handle_seconds{downstream="billing",result="success"}`:          0,
		`spillway_queue_wait_seconds{downstream="billing"}`:                       0,
	})
	w.wantNo(`spillway_handle_seconds{downstream="billing",result="panic"}`)
}

func TestTheGaugesOfDegradedRatesGoUpAndDown(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.state.Downstreams = append(w.state.Downstreams, consumer.DownstreamState{Downstream: "mail", Rate: "5/s"})
	w.state.Tenants = append(w.state.Tenants, consumer.TenantState{Tenant: "b", RateShared: true, RateDegraded: true})
	w.want(map[string]float64{
		`spillway_rate_limit_degraded{downstream="billing"}`: 0,
		`spillway_tenant_rate_limits_degraded`:               1,
	})
	w.wantNo(`spillway_rate_limit_degraded{downstream="mail"}`)
	w.state.Downstreams[0].RateDegraded = true
	w.state.Tenants[1].RateDegraded = false
	w.want(map[string]float64{
		`spillway_rate_limit_degraded{downstream="billing"}`: 1,
		`spillway_tenant_rate_limits_degraded`:               0,
	})
}

func TestAPausedReasonGoesBackToZero(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.families()
	w.state.Lanes[0].Paused = ""
	w.want(map[string]float64{`spillway_pull_paused{reason="hold"}`: 0})
}

func TestReasonsOfAPauseAreBounded(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	for i := range 1000 {
		w.state.Lanes[0].Paused = consumer.PauseReason(fmt.Sprint("because of ", i))
		w.families()
	}
	if n := len(w.series("spillway_pull_paused")); n > 33 {
		t.Errorf("%d reasons are shown", n)
	}
	w.want(map[string]float64{`spillway_pull_paused{reason="unknown"}`: 1})
}

func TestTheBreakersThatHoldALaneBackAreTold(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.state.Lanes[0].Paused = consumer.PauseBreaker
	w.state.Downstreams = []consumer.DownstreamState{
		{Downstream: "billing", Breaker: &consumer.BreakerStatus{State: consumer.BreakerOpen}},
		{Downstream: "mail", Breaker: &consumer.BreakerStatus{State: consumer.BreakerHalfOpen}},
		{Downstream: "disk"},
	}
	w.want(map[string]float64{
		`spillway_pull_paused{reason="breaker"}`:                         1,
		`spillway_pull_paused{reason="breaker:billing"}`:                 1,
		`spillway_pull_paused{reason="breaker:mail"}`:                    1,
		`spillway_breaker_state{downstream="billing",state="open"}`:      1,
		`spillway_breaker_state{downstream="billing",state="closed"}`:    0,
		`spillway_breaker_state{downstream="billing",state="half_open"}`: 0,
		`spillway_breaker_state{downstream="mail",state="half_open"}`:    1,
	})
	w.wantNo(`spillway_pull_paused{reason="breaker:disk"}`)
	w.state.Lanes[0].Paused = ""
	w.state.Downstreams[0].Breaker.State = consumer.BreakerClosed
	w.want(map[string]float64{
		`spillway_pull_paused{reason="breaker:billing"}`:              0,
		`spillway_breaker_state{downstream="billing",state="closed"}`: 1,
		`spillway_breaker_state{downstream="billing",state="open"}`:   0,
	})
}

func TestNoisyTenantsAreShownAndThoseWithoutALabelCounted(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 1})
	w.ran("acme", 3)
	w.state.Tenants = []consumer.TenantState{{Tenant: "acme", Noisy: true, Queued: 9}, {Tenant: "b", Noisy: true}, {Tenant: "c", Noisy: true}}
	w.want(map[string]float64{`spillway_tenant_noisy{tenant="acme"}`: 1, `spillway_tenant_noisy{tenant="_other"}`: 2})
	w.state.Tenants = []consumer.TenantState{{Tenant: "acme"}}
	w.want(map[string]float64{`spillway_tenant_noisy{tenant="acme"}`: 0, `spillway_tenant_noisy{tenant="_other"}`: 0})
}

func TestLanesOfOneNameAreAddedUp(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.state.Lanes = append(w.state.Lanes, w.state.Lanes[0])
	w.want(map[string]float64{
		`spillway_messages_pulled_total{lane="main"}`: 1000,
		`spillway_pull_batch_size{lane="main"}`:       20,
		`spillway_pull_paused{reason="hold"}`:         2,
	})
}

func TestRunsAreCountedByDownstreamAndResult(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	for range 3 {
		w.handled(consumer.Handled{Downstream: "billing", Result: consumer.ResultSuccess, Took: 3 * time.Millisecond})
	}
	w.handled(consumer.Handled{Downstream: "billing", Result: consumer.ResultPanic, Wait: time.Hour, EndToEnd: 48 * time.Hour, Took: -1})
	w.events.Settled(consumer.Settled{Downstream: "billing", Outcome: consumer.OutcomeRetry})
	w.events.Settled(consumer.Settled{Outcome: consumer.OutcomeDeadLetter})
	w.want(map[string]float64{
		`spillway_handle_seconds{downstream="billing",result="success"}`:        3,
		`spillway_handle_seconds{downstream="billing",result="panic"}`:          1,
		`spillway_end_to_end_seconds{downstream="billing",result="panic"}`:      1,
		`spillway_queue_wait_seconds{downstream="billing"}`:                     4,
		`spillway_messages_settled_total{downstream="billing",outcome="retry"}`: 1,
		`spillway_messages_settled_total{downstream="",outcome="dead_letter"}`:  1,
	})
}

func TestDurationsFallIntoTheirBuckets(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	for _, took := range []time.Duration{0, 100 * time.Microsecond, 100*time.Microsecond + 1, time.Second, time.Hour} {
		w.handled(consumer.Handled{Took: took})
	}
	h := w.series("spillway_handle_seconds")[`downstream="",result="success"`].GetHistogram()
	for _, b := range h.GetBucket() {
		want := map[float64]uint64{0.0001: 2, 0.00025: 3, 0.5: 3, 1: 4, 600: 4}
		if n, ok := want[b.GetUpperBound()]; ok && n != b.GetCumulativeCount() {
			t.Errorf("%d at or under %v s, want %d", b.GetCumulativeCount(), b.GetUpperBound(), n)
		}
	}
	if got, want := h.GetSampleSum(), 3601.0002; got < want || got > want+1e-6 {
		t.Errorf("sum %v, want %v", got, want)
	}
}

func TestValuesOfALaterVersionAreCountedAsUnknown(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.handled(consumer.Handled{Tenant: "acme", Result: "vanished"})
	w.events.Settled(consumer.Settled{Outcome: "lost"})
	w.events.Shed(consumer.Shed{Tenant: "acme", Policy: "burn"})
	w.state.DeadLetters = map[consumer.Reason]uint64{"a": 1, "b": 2}
	w.want(map[string]float64{
		`spillway_handle_seconds{downstream="",result="unknown"}`:          1,
		`spillway_messages_settled_total{downstream="",outcome="unknown"}`: 1,
		`spillway_messages_shed_total{tenant="acme",policy="unknown"}`:     1,
		`spillway_dead_letters_total{reason="unknown"}`:                    3,
	})
}

func TestADownstreamThatCannotBeShownLeavesTheRestOfTheScrape(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.handled(consumer.Handled{Downstream: "\xff"})
	w.want(map[string]float64{`spillway_workers`: 64})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := &worker{state: consumer.Snapshot{Stream: "JOBS", Durable: "worker"}}
	for _, tt := range []struct {
		source metrics.Source
		opts   metrics.Options
		want   string
	}{
		{nil, metrics.Options{}, "no consumer"},
		{&worker{}, metrics.Options{}, `stream "" and durable ""`},
		{&worker{state: good.state, refuse: errors.New("it runs already")}, metrics.Options{}, "it runs already"},
		{good, metrics.Options{Tenants: 10_001}, "Tenants is 10001, must be at most 10000"},
		{good, metrics.Options{TenantIdle: time.Second}, "TenantIdle is 1s, must be at least 1m0s"},
	} {
		if _, err := metrics.New(tt.source, tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("New(%v): %v, want something with %q", tt.opts, err, tt.want)
		}
	}
}

func TestHandlerServesTheCollectorAndTheProcess(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	h, err := metrics.Handler(w.collector)
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`spillway_workers{durable="worker",stream="JOBS"} 0`, "go_goroutines "} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("no %q in %.2000s", want, rec.Body)
		}
	}
}

func TestHandlerRefusesTwoCollectorsOfOneConsumer(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	if _, err := metrics.Handler(w.collector, w.collector); err == nil {
		t.Error("accepted one collector twice")
	}
	for _, missing := range []prometheus.Collector{nil, (*metrics.Collector)(nil)} {
		if _, err := metrics.Handler(missing); err == nil {
			t.Errorf("accepted %#v", missing)
		}
	}
}

func TestTwoConsumersStandBesideEachOther(t *testing.T) {
	a, b := newWorker(t, metrics.Options{}), &worker{state: consumer.Snapshot{Stream: "JOBS", Durable: "other"}}
	m, err := metrics.New(b, metrics.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := metrics.Handler(a.collector, m); err != nil {
		t.Error(err)
	}
}

func TestTheCollectorIsConsistentForARegistryThatChecks(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(w.collector); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Gather(); err != nil {
		t.Error(err)
	}
}
