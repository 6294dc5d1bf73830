package envelope_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// validKey is what a key-value bucket takes.
var validKey = regexp.MustCompile(`^[-/_=\.a-zA-Z0-9]+$`)

func TestTwoTenantsNeverShareAKeyAndEveryKeyIsValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		ka, kb := envelope.PolicyKey("w", a), envelope.PolicyKey("w", b)
		if (ka == kb) != (a == b) {
			t.Errorf("%q has %s, and %q has %s", a, ka, b, kb)
		}
		if !validKey.MatchString(ka) || strings.Count(ka, ".") != 2 || strings.HasSuffix(ka, ".") {
			t.Errorf("%q has the key %s", a, ka)
		}
	})
}

func TestTheBucketOfAnyStreamHasAValidName(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	names := map[string]string{}
	for _, stream := range []string{"JOBS", "jobs-2", "JÖBS", "a$b", "a=b", strings.Repeat("x", 200)} {
		name := envelope.StateBucket(stream)
		if !valid.MatchString(name) || names[name] != "" {
			t.Errorf("%q has the bucket %q, as %q has", stream, name, names[name])
		}
		names[name] = stream
	}
	if got := envelope.StateBucket("JOBS"); got != "JOBS_STATE" {
		t.Errorf("the bucket of JOBS is %s", got)
	}
}

func drawTerm[T any](t *rapid.T, name string, value *rapid.Generator[T]) *envelope.Term[T] {
	if !rapid.Bool().Draw(t, name) {
		return nil
	}
	term := &envelope.Term[T]{Value: value.Draw(t, name+" value")}
	if rapid.Bool().Draw(t, name+" ends") {
		term.Until = time.Unix(0, rapid.Int64Range(1, 1<<60).Draw(t, name+" until")).UTC()
	}
	return term
}

func drawPolicy(t *rapid.T) envelope.Policy {
	return envelope.Policy{
		Tenant: rapid.StringN(1, 50, 256).Draw(t, "tenant"),
		Paused: drawTerm(t, "paused", rapid.Bool()), Weight: drawTerm(t, "weight", rapid.Float64Range(-1e6, 1e6)),
		MaxInFlight: drawTerm(t, "cap", rapid.Int()),
		Rate: drawTerm(t, "rate", rapid.Custom(func(t *rapid.T) envelope.Rate {
			return envelope.Rate{Events: rapid.Float64Range(0, 1e9).Draw(t, "events"), Per: time.Duration(rapid.Int64().Draw(t, "per")), Burst: rapid.Int().Draw(t, "burst")}
		})),
	}
}

func TestAPolicyIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		data, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := envelope.ParsePolicy(data); err != nil || !reflect.DeepEqual(got, p) {
			t.Errorf("%s is read as %+v, %v; want %+v", data, got, err, p)
		}
	})
}

func TestFieldsOfALaterVersionAreIgnoredAndKept(t *testing.T) {
	const later = `{"version":1,"tenant":"a","weight":{"value":2,"why":"x"},"color":{"value":"red"},"paused":{"value":"until noon"},"rate":null}`
	p, err := envelope.ParsePolicy([]byte(later))
	unread, ok := errors.AsType[envelope.UnreadError](err)
	if !ok || !slices.Equal(unread, []string{"paused", "rate"}) || p.Weight.Value != 2 || p.Paused != nil || p.Empty() {
		t.Fatalf("it is read as %+v, %v", p, err)
	}
	if got := p.Kept(); !slices.Equal(got, []string{"color", "paused", "rate"}) {
		t.Errorf("kept are %q", got)
	}
	data, err := p.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || string(fields["color"]) != `{"value":"red"}` || string(fields["paused"]) != `{"value":"until noon"}` {
		t.Errorf("it is written as %s", data)
	}
	p.Paused = &envelope.Term[bool]{Value: true} // what is set anew replaces what could not be read
	if data, _ = p.Bytes(); !strings.Contains(string(data), `"paused":{"value":true}`) {
		t.Errorf("it is written as %s", data)
	}
}

func TestWhatIsNoPolicyIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		``: "no JSON object", `null`: "no JSON object", `[1]`: "no JSON object",
		`{}`: "has version", `{"version":"1","tenant":"a"}`: "has version", `{"version":0,"tenant":"a"}`: "has version",
		`{"version":2,"tenant":"a"}`: "later version", `{"version":1}`: "names no tenant", `{"version":1,"tenant":7}`: "names no tenant",
	} {
		if _, err := envelope.ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", text, err, want)
		}
	}
}

func TestATermCountsUntilItsTime(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	p := envelope.Policy{Tenant: "a", Paused: &envelope.Term[bool]{Value: true, Until: noon}, Weight: &envelope.Term[float64]{Value: 2}}
	if q := p.At(noon.Add(-1)); q.Paused == nil || q.Weight == nil {
		t.Errorf("before its time: %+v", q)
	}
	if q := p.At(noon); q.Paused != nil || q.Weight == nil || p.Paused == nil {
		t.Errorf("at its time: %+v", q)
	}
	if at, ok := p.Next(); !ok || !at.Equal(noon) {
		t.Errorf("next is %v, %t", at, ok)
	}
	if _, ok := p.At(noon).Next(); ok {
		t.Error("something ends that does not")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(`{"version":1,"tenant":"a","weight":{"value":2},"x":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := envelope.ParsePolicy(data)
		if _, partly := errors.AsType[envelope.UnreadError](err); err != nil && !partly {
			return
		}
		again, err := p.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if q, _ := envelope.ParsePolicy(again); !reflect.DeepEqual(p.At(time.Time{}), q.At(time.Time{})) || !slices.Equal(p.Kept(), q.Kept()) {
			t.Errorf("%s becomes %s", data, again)
		}
	})
}
