package consumer

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/limiter"
)

func drawPatch(t *rapid.T) TenantPatch {
	var p TenantPatch
	if rapid.Bool().Draw(t, "paused") {
		p.Paused = new(rapid.Bool().Draw(t, "paused value"))
	}
	if rapid.Bool().Draw(t, "weight") {
		p.Weight = new(rapid.Float64Range(minWeight, maxWeight).Draw(t, "weight value"))
	}
	if rapid.Bool().Draw(t, "cap") {
		p.MaxInFlight = new(rapid.IntRange(0, maxWorkers).Draw(t, "cap value"))
	}
	if rapid.Bool().Draw(t, "rate") {
		p.Rate = &limiter.Rate{Events: rapid.Float64Range(1, 1e6).Draw(t, "rate value"), Per: time.Second}
	}
	return p
}

// setting is one field of the model: what was set last, and until when.
type setting struct {
	value any
	until time.Time
}

// However patches follow on each other, each field is what the last patch that named it has
// set, until that is over; and what is stored says the same as what is kept in mind.
func TestPatchesMergeFieldByField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		record, model := envelope.Policy{Tenant: "acme"}, map[string]setting{}
		for range rapid.IntRange(1, 12).Draw(t, "patches") {
			p := drawPatch(t)
			var until time.Time
			if rapid.Bool().Draw(t, "ttl") {
				until = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
			}
			record = roundTrip(t, p.onto(record, now, until))
			note := func(name string, v any, named bool) {
				if named {
					model[name] = setting{v, until}
				}
			}
			note("paused", p.Paused != nil && *p.Paused, p.Paused != nil)
			if p.Weight != nil {
				note("weight", *p.Weight, true)
			}
			if p.MaxInFlight != nil {
				note("cap", *p.MaxInFlight, true)
			}
			if p.Rate != nil {
				note("rate", *p.Rate, true)
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "step")) * time.Second)
			checkOverlay(t, record, model, now)
		}
	})
}

func roundTrip(t *rapid.T, p envelope.Policy) envelope.Policy {
	data, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	back, err := envelope.ParsePolicy(data)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Fatalf("%s is read as %+v, %v", data, back, err)
	}
	return back
}

func checkOverlay(t *rapid.T, record envelope.Policy, model map[string]setting, now time.Time) {
	file := TenantPolicy{Weight: 1, MaxInFlight: 7, OnOverflow: OverflowHold}.withDefaults()
	got := overlay(file, record.At(now))
	want := effective{TenantPolicy: file}
	for name, s := range model {
		if !s.until.IsZero() && !now.Before(s.until) {
			continue
		}
		switch v := s.value.(type) {
		case bool:
			want.paused = v
		case float64:
			want.Weight = v
		case int:
			want.MaxInFlight = v
		case limiter.Rate:
			want.Rate = v
		default:
			t.Fatalf("%s is %v", name, v)
		}
	}
	if want.paused {
		want.OnOverflow = OverflowSpill
	}
	if got != want {
		t.Errorf("at %v it is %+v, want %+v", now, got, want)
	}
}

func TestOverridesAreBounded(t *testing.T) {
	var o overrides
	for i := range maxOverrides {
		if !o.set(envelope.Policy{Tenant: string(rune('a'+i%26)) + time.Duration(i).String(), Weight: &envelope.Term[float64]{Value: 2}}) {
			t.Fatalf("override %d is refused", i)
		}
	}
	more := envelope.Policy{Tenant: "more", Weight: &envelope.Term[float64]{Value: 2}}
	if !o.full("more") || o.set(more) {
		t.Error("one more than there may be was taken")
	}
	if o.full("a0s") || !o.set(envelope.Policy{Tenant: "a0s", Weight: &envelope.Term[float64]{Value: 3}}) {
		t.Error("one that is there cannot be changed")
	}
	o.set(envelope.Policy{Tenant: "a0s"})
	if o.full("more") || !o.set(more) {
		t.Error("there is no room after one was reset")
	}
}
