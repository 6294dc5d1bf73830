package measure_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/measure"
)

func TestQuantileIsTheLeastThatSoManyDoNotExceed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(-50, 50), 1, 60).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		got := measure.Quantile(values, q)
		within := func(v int) float64 {
			n := 0
			for _, x := range values {
				if x <= v {
					n++
				}
			}
			return float64(n) / float64(len(values))
		}
		if !slices.Contains(values, got) || within(got) < q-1e-12 {
			t.Fatalf("quantile %v of %v is %d", q, values, got)
		}
		if got != slices.Min(values) && within(got-1) >= q+1e-12 {
			t.Fatalf("quantile %v of %v is %d, but less would do", q, values, got)
		}
	})
	if measure.Quantile([]int(nil), 0.5) != 0 {
		t.Error("of nothing it is something")
	}
}

func TestQuantilesOfFewValues(t *testing.T) {
	for _, tt := range []struct {
		values []int
		q      float64
		want   int
	}{
		{nil, 0.5, 0},
		{[]int{7}, 0.99, 7},
		{[]int{3, 1, 2}, 0.5, 2},
		{[]int{4, 3, 1, 2}, 0.5, 2},
		{[]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 0.9, 9},
		{[]int{1, 2, 3}, 1, 3},
		{[]int{1, 2, 3}, 0, 1},
	} {
		if got := measure.Quantile(tt.values, tt.q); got != tt.want {
			t.Errorf("measure.Quantile(%v, %v) = %d, want %d", tt.values, tt.q, got, tt.want)
		}
	}
}

func TestRatiosAreOfRoundsThatBothHave(t *testing.T) {
	if got := measure.Ratios([]float64{2, 3, 4}, []float64{1, 0}); !slices.Equal(got, []float64{2}) {
		t.Errorf("they are %v", got)
	}
	if got := measure.Median([]int{5, 1, 3}); got != 3 {
		t.Errorf("the median is %d", got)
	}
}

func TestAPoolHandlesWhatAFillHasStored(t *testing.T) {
	const messages = 5000 // more than between two confirmations
	s := consumertest.NewServer(t)
	s.Stream(t, "S", "S.>")
	js := s.JetStream(t)
	fill := func() error {
		return measure.Fill(t.Context(), js, "S", messages, func(int) (string, []byte) { return "S.x", nil })
	}
	if err := fill(); err != nil {
		t.Fatal(err)
	}
	durable, err := js.CreateConsumer(t.Context(), "S", jetstream.ConsumerConfig{Durable: "d", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	var handled atomic.Int64
	done := make(chan struct{})
	pool, err := measure.StartPool(durable, 4, func(m jetstream.Msg) {
		if err := m.Ack(); err != nil {
			t.Error(err)
		}
		if handled.Add(1) == messages {
			close(done)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	<-done
	pool.Stop()
	if err := fill(); err != nil { // it is stopped
		t.Fatal(err)
	}
	if n := handled.Load(); n != messages {
		t.Errorf("handled are %d", n)
	}
}

func TestAFillThatIsNotStoredIsAnError(t *testing.T) {
	s := consumertest.NewServer(t)
	js := s.JetStream(t)
	one := func(int) (string, []byte) { return "S.x", nil }
	if err := measure.Fill(t.Context(), js, "NONE", 1, one); err == nil || !strings.Contains(err.Error(), "NONE") {
		t.Errorf("without a stream: %v", err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"S.>"}, MaxMsgs: 2, Discard: jetstream.DiscardNew}); err != nil {
		t.Fatal(err)
	}
	if err := measure.Fill(t.Context(), js, "S", 5, one); err == nil {
		t.Error("a full stream is taken for a filled one")
	}
}

func TestTheMachineIsNamed(t *testing.T) {
	m := measure.ThisMachine()
	if m.Cores < 1 || m.GOMAXPROCS < 1 || m.Go == "" || !strings.Contains(m.String(), m.Go) {
		t.Errorf("it is %+v", m)
	}
	m = measure.Machine{OS: "linux", Arch: "arm64", Cores: 8, GOMAXPROCS: 2, Go: "go1"}
	if got, want := m.String(), "unknown processor, 8 cores, GOMAXPROCS 2, go1, linux/arm64"; got != want {
		t.Errorf("it is %q, want %q", got, want)
	}
}
