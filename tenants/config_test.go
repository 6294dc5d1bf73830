package tenants

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestTheZeroConfigHasTheDefaultsItDocuments(t *testing.T) {
	c, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if c.Messages != 4096 || c.Bytes != 64<<20 || c.Cost != time.Millisecond || c.Forget != time.Minute {
		t.Errorf("got %+v", c)
	}
	want := Policy{Queue: 256, Bytes: 16 << 20, High: 1, Low: 1, Weight: 1}
	if c.Default != want {
		t.Errorf("default policy is %+v, want %+v", c.Default, want)
	}
}

func TestAllThatIsWrongWithAConfigIsSaidAtOnce(t *testing.T) {
	_, err := NewQueues[int](Config{
		Messages: -1, Bytes: -2, Cost: -3, Forget: -4,
		Default: Policy{Queue: -5, Bytes: -6, High: 1.5, Low: 2, Weight: -7, MaxInFlight: -8, HoldWithin: -9},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Config.Messages is -1: must be at least 0", "Config.Bytes is -2", "Config.Cost is -3ns", "Config.Forget is -4ns",
		"Config.Default: ", "Policy.Queue is -5", "Policy.Bytes is -6", "Policy.High is 1.5: must be above 0 and at most 1",
		"Policy.Low is 2: must be at least 0 and at most High, which is 1.5", "Policy.Weight is -7: must be from 0.001 to 1000",
		"Policy.MaxInFlight is -8", "Policy.HoldWithin is -9ns",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestAPolicyIsRefusedWhenItMakesNoSense(t *testing.T) {
	for name, p := range map[string]Policy{
		"weight too small": {Weight: 0.0001},
		"weight too large": {Weight: 1001},
		"weight NaN":       {Weight: math.NaN()},
		"high NaN":         {High: math.NaN()},
		"low without high": {Low: 0.5},
		"low above high":   {High: 0.5, Low: 0.6},
		"low NaN":          {High: 0.5, Low: math.NaN()},
	} {
		if _, err := p.withDefaults(100, 100); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMarksAreWorkedOutInItemsAndBytes(t *testing.T) {
	for _, c := range []struct {
		p                         Policy
		high, low                 int
		highBytes, lowBytes, most int64
	}{
		{Policy{Queue: 10, Bytes: 100}, 10, 9, 100, 99, 100},
		{Policy{Queue: 10, Bytes: 100, High: 0.75, Low: 0.25}, 8, 2, 75, 25, 100},
		{Policy{Queue: 10, Bytes: 100, High: 0.5, Low: 0.5}, 5, 4, 50, 49, 100},
		{Policy{Queue: 1, Bytes: 1, High: 0.1}, 1, 0, 1, 0, 1},
		{Policy{Queue: 10, Bytes: math.MaxInt64}, 10, 9, math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64},
	} {
		p, err := c.p.withDefaults(100, 1000)
		if err != nil {
			t.Fatal(err)
		}
		l := p.limits()
		if l.high != c.high || l.low != c.low || l.highBytes != c.highBytes || l.lowBytes != c.lowBytes || l.bytes != c.most {
			t.Errorf("%+v: got %+v", c.p, l)
		}
	}
}
