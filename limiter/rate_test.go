package limiter_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/limiter"
)

func TestParseRateReadsWhatConfigurationFilesSay(t *testing.T) {
	for in, want := range map[string]limiter.Rate{
		"100/s":      {Events: 100, Per: time.Second},
		"5/m":        {Events: 5, Per: time.Minute},
		"1/h":        {Events: 1, Per: time.Hour},
		"0.5/s":      {Events: 0.5, Per: time.Second},
		"1e6/s":      {Events: 1e6, Per: time.Second},
		"10/30s":     {Events: 10, Per: 30 * time.Second},
		" 10/1m30s ": {Events: 10, Per: 90 * time.Second},
	} {
		if got, err := limiter.ParseRate(in); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %+v, %v, want %+v", in, got, err, want)
		}
	}
}

func TestParseRateRefusesWhatIsNoRate(t *testing.T) {
	for _, in := range []string{
		"", "100", "/s", "100/", "100/x", "x/s", "0/s", "-1/s", "NaN/s", "Inf/s", "+Inf/s", "0x10p0/s",
		"1_000/s", "1/0s", "1/-5s", "1e10/s", "1/10000h", "1 / s", "100/s/s", "1e400/s",
	} {
		if got, err := limiter.ParseRate(in); err == nil || !strings.Contains(err.Error(), "rate") {
			t.Errorf("ParseRate(%q) = %+v, %v, want an error", in, got, err)
		}
	}
}

func TestARateIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := limiter.Rate{
			Events: rapid.Float64Range(0.001, 1e6).Draw(t, "events"),
			Per:    time.Duration(rapid.Int64Range(int64(time.Second), int64(300*time.Hour)).Draw(t, "per")),
		}
		if want.Events/want.Per.Hours() < 1e-3 {
			t.Skip("below the least rate")
		}
		got, err := limiter.ParseRate(want.String())
		if err != nil || got != want {
			t.Fatalf("ParseRate(%q) = %+v, %v, want %+v", want.String(), got, err, want)
		}
	})
}

func TestBadRatesAreRefusedByFieldValueAndBound(t *testing.T) {
	for _, tt := range []struct {
		rate limiter.Rate
		want []string
	}{
		{limiter.Rate{Events: 0, Per: time.Second}, []string{"Rate.Events is 0", "above 0"}},
		{limiter.Rate{Events: -1, Per: time.Second}, []string{"Rate.Events is -1"}},
		{limiter.Rate{Events: math.NaN(), Per: time.Second}, []string{"Rate.Events is NaN"}},
		{limiter.Rate{Events: math.Inf(1), Per: time.Second}, []string{"Rate.Events is +Inf", "finite"}},
		{limiter.Rate{Events: 1}, []string{"Rate.Per is 0s", "above 0"}},
		{limiter.Rate{Events: 1, Per: -time.Second}, []string{"Rate.Per is -1s"}},
		{limiter.Rate{Events: 1, Per: time.Second, Burst: -1}, []string{"Rate.Burst is -1"}},
		{limiter.Rate{Events: 1, Per: time.Second, Burst: 1_000_000_001}, []string{"Rate.Burst is 1000000001", "1000000000"}},
		{limiter.Rate{Events: 2e9, Per: time.Second}, []string{"2e+09 events a second", "at most 1e+09"}},
		{limiter.Rate{Events: math.SmallestNonzeroFloat64, Per: time.Second}, []string{"at least one in 8784h"}},
		{limiter.Rate{Events: math.NaN(), Per: 0, Burst: -5}, []string{"Rate.Events", "Rate.Per", "Rate.Burst"}},
	} {
		b, err := limiter.NewTokenBucket(tt.rate)
		if err == nil || b != nil {
			t.Errorf("%+v: got a bucket, %v", tt.rate, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %q does not say %q", tt.rate, err, want)
			}
		}
	}
}

func TestBurstIsATenthOfASecondByDefault(t *testing.T) {
	for events, want := range map[float64]int{0.001: 1, 5: 1, 10: 1, 11: 2, 100: 10, 1e9: 1e8} {
		b, err := limiter.NewTokenBucket(limiter.Rate{Events: events, Per: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Snapshot().Rate.Burst; got != want {
			t.Errorf("%v/s: burst %d, want %d", events, got, want)
		}
	}
}
