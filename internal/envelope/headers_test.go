package envelope_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestRestoreIsTheInverseOfCarry(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user, origin := envelope.Clean(anyHeader().Draw(t, "user")), anyOrigin().Draw(t, "origin")
		before := clone(user)
		carried := envelope.Carry(user, origin)
		got, from, ok := envelope.Restore(carried)
		if !ok {
			t.Fatalf("Restore refuses %q", carried)
		}
		if !sameHeader(got, before) {
			t.Fatalf("headers %q came back as %q", before, got)
		}
		if from != origin {
			t.Fatalf("origin %+v came back as %+v", origin, from)
		}
		if !sameHeader(user, before) {
			t.Fatalf("Carry changed its argument from %q to %q", before, user)
		}
	})
}

func TestACopyHasNoHeaderThatTheServerActsOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for k := range envelope.Carry(anyHeader().Draw(t, "user"), anyOrigin().Draw(t, "origin")) {
			if strings.HasPrefix(strings.ToLower(k), "nats-") {
				t.Fatalf("the copy carries %q as it is", k)
			}
		}
	})
}

func TestWhatTheServerAddsToACopyIsNotRestored(t *testing.T) {
	h := envelope.Carry(nats.Header{"Nats-Msg-Id": {"the user's"}}, origin)
	h.Set("Nats-Msg-Id", "the copy's")
	h.Set("Nats-Expected-Stream", "JOBS_OVERFLOW")
	h.Set("Spillway-Of-A-Later-Version", "1")
	got, _, _ := envelope.Restore(h)
	if want := (nats.Header{"Nats-Msg-Id": {"the user's"}}); !sameHeader(got, want) {
		t.Errorf("restored %q, want %q", got, want)
	}
}

func TestForgedHeadersAreStripped(t *testing.T) {
	user := nats.Header{"X": {"1"}}
	for _, forged := range []string{
		"Spillway-Attempt", "spillway-attempt", "SPILLWAY-CARRIED-NATS-TTL", "Spillway-", "Spillway-Carried-Nats-Rollup",
	} {
		h := clone(user)
		h[forged] = []string{"9"}
		if got := envelope.Clean(h); !sameHeader(got, user) {
			t.Errorf("Clean left %q of a forged %s", got, forged)
		}
		if h[forged] == nil {
			t.Errorf("Clean took %s out of its argument", forged)
		}
	}
}

func TestCleanReturnsAnHonestHeaderAsItIs(t *testing.T) {
	h := nats.Header{"X": {"1"}, "Nats-Msg-Id": {"2"}, "X-Spillway-": {"3"}}
	if got := envelope.Clean(h); reflect.ValueOf(got).UnsafePointer() != reflect.ValueOf(h).UnsafePointer() {
		t.Error("Clean copied a header that has nothing to strip")
	}
	if got := envelope.Clean(nil); got != nil {
		t.Errorf("Clean(nil) = %v", got)
	}
}

func TestRestoreGivesOutNoHeaderOfOurs(t *testing.T) {
	h := envelope.Carry(nil, origin)
	for _, forged := range []string{"Spillway-Carried-Spillway-Attempt", "Spillway-Carried-X", "Spillway-Carried-", "spillway-x"} {
		h[forged] = []string{"9"}
	}
	if got, _, ok := envelope.Restore(h); !ok || len(got) > 0 {
		t.Errorf("restored %q, %v", got, ok)
	}
}

func TestRestoreRefusesWhatIsNoRecord(t *testing.T) {
	for _, missing := range []string{envelope.HeaderOriginSubject, envelope.HeaderStream, envelope.HeaderSequence} {
		h := envelope.Carry(nil, origin)
		h.Del(missing)
		if _, _, ok := envelope.Restore(h); ok {
			t.Errorf("accepted without %s", missing)
		}
	}
	for _, seq := range []string{"", "-1", "1.5", "0x10", "18446744073709551616", " 1"} {
		h := envelope.Carry(nil, origin)
		h.Set(envelope.HeaderSequence, seq)
		if _, _, ok := envelope.Restore(h); ok {
			t.Errorf("accepted the sequence %q", seq)
		}
	}
}

func TestAttemptIsAtLeastOne(t *testing.T) {
	for value, want := range map[string]int{"": 1, "0": 1, "-3": 1, "x": 1, "7": 7, "99999999999999999999": 1} {
		if got := envelope.Attempt(nats.Header{envelope.HeaderAttempt: {value}}); got != want {
			t.Errorf("Attempt of %q = %d, want %d", value, got, want)
		}
	}
}

func TestTheNextRunIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, attempt, due := make(nats.Header), rapid.IntRange(1, 1<<30).Draw(t, "attempt"), anyTime().Draw(t, "due")
		envelope.SetAttempt(h, attempt, due)
		if envelope.Attempt(h) != attempt || !envelope.NotBefore(h).Equal(due) {
			t.Fatalf("attempt %d at %v came back as %d at %v", attempt, due, envelope.Attempt(h), envelope.NotBefore(h))
		}
		envelope.SetAttempt(h, attempt+1, time.Time{})
		if envelope.Attempt(h) != attempt+1 || !envelope.NotBefore(h).IsZero() {
			t.Fatalf("a run that is due now came back as %d at %v", envelope.Attempt(h), envelope.NotBefore(h))
		}
	})
}

func TestAGarbledNotBeforeMeansNow(t *testing.T) {
	for _, value := range []string{"", "soon", "2026-13-01T00:00:00Z"} {
		if got := envelope.NotBefore(nats.Header{envelope.HeaderNotBefore: {value}}); !got.IsZero() {
			t.Errorf("NotBefore of %q = %v", value, got)
		}
	}
}

func TestMsgIDsOfDifferentMessagesDiffer(t *testing.T) {
	type message struct {
		stream, durable string
		seq             uint64
		published       time.Time
	}
	any := rapid.Custom(func(t *rapid.T) message {
		return message{
			rapid.StringMatching(`[A-C:]{1,3}`).Draw(t, "stream"),
			rapid.StringMatching(`[a-c_-]{1,3}`).Draw(t, "durable"),
			rapid.Uint64Range(0, 20).Draw(t, "seq"),
			time.Unix(0, rapid.Int64Range(-5, 5).Draw(t, "ns")),
		}
	})
	id := func(m message) string { return envelope.MsgID(m.stream, m.durable, m.seq, m.published) }
	rapid.Check(t, func(t *rapid.T) {
		a, b := any.Draw(t, "a"), any.Draw(t, "b")
		if (id(a) == id(b)) != (a == b) {
			t.Fatalf("%+v and %+v have the ids %q and %q", a, b, id(a), id(b))
		}
	})
}

func TestMsgIDIsThePublishedFormat(t *testing.T) {
	got := envelope.MsgID("JOBS", "worker", 42, time.Unix(1, 5))
	if want := "JOBS:worker:42:1000000005"; got != want {
		t.Errorf("MsgID = %q, want %q", got, want)
	}
}

func TestHeaderValueIsOneBoundedLine(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{"two\r\nlines\nand\rmore", 99, `two\nlines\nand\rmore`},
		{"  spaces\n", 99, `spaces\n`},
		{"\xff", 99, "�"},
		{"aé", 2, "a"},
		{"ab cd", 3, "ab"},
		{"abc", 0, ""},
		{"abc", -1, ""},
	} {
		if got := envelope.HeaderValue(tt.in, tt.limit); got != tt.want {
			t.Errorf("HeaderValue(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzRestore(f *testing.F) {
	f.Add("Nats-TTL", "1s", "jobs.acme", "JOBS", "7", "2026-01-02T03:04:05.000000006Z", "a\r\nb", 8)
	f.Add("Spillway-Carried-Nats-TTL", "1s", "", "", "-1", "yesterday", "é", 1)
	f.Fuzz(func(t *testing.T, key, value, subject, stream, seq, at, text string, limit int) {
		h := nats.Header{
			key:                          {value},
			envelope.HeaderOriginSubject: {subject},
			envelope.HeaderStream:        {stream},
			envelope.HeaderSequence:      {seq},
			envelope.HeaderTime:          {at},
		}
		checkHeaderValue(t, text, limit)
		user, from, ok := envelope.Restore(h)
		if !ok {
			return
		}
		if clean := envelope.Clean(user); !sameHeader(clean, user) {
			t.Fatalf("restored headers of ours: %q", user)
		}
		again, fromAgain, ok := envelope.Restore(envelope.Carry(user, from))
		if !ok || !sameHeader(again, user) || !fromAgain.Time.Equal(from.Time) || fromAgain.Sequence != from.Sequence {
			t.Fatalf("%q of %+v came back as %q of %+v, %v", user, from, again, fromAgain, ok)
		}
	})
}

func checkHeaderValue(t *testing.T, text string, limit int) {
	got := envelope.HeaderValue(text, limit)
	if len(got) > max(limit, 0) || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n") || got != strings.TrimSpace(got) {
		t.Fatalf("HeaderValue(%q, %d) = %q", text, limit, got)
	}
	if again := envelope.HeaderValue(got, limit); again != got {
		t.Fatalf("HeaderValue(%q, %d) = %q, and of that %q", text, limit, got, again)
	}
}

var origin = envelope.Origin{Subject: "jobs.acme", Stream: "JOBS", Sequence: 7, Time: time.Unix(1, 2).UTC()}

func anyOrigin() *rapid.Generator[envelope.Origin] {
	return rapid.Custom(func(t *rapid.T) envelope.Origin {
		return envelope.Origin{
			Subject:  rapid.StringMatching(`[a-z%.]{1,20}`).Draw(t, "subject"),
			Stream:   rapid.StringMatching(`[A-Z_]{1,20}`).Draw(t, "stream"),
			Sequence: rapid.Uint64().Draw(t, "sequence"),
			Time:     anyTime().Draw(t, "time"),
		}
	})
}

// anyTime draws what a server may say: nanoseconds, from 1970 to 2262.
func anyTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Min(0), func(ns int64) time.Time { return time.Unix(0, ns).UTC() })
}

func anyHeader() *rapid.Generator[nats.Header] {
	key := rapid.OneOf(
		rapid.StringMatching(`(Nats-|nats-|NATS-|Spillway-|spillway-|Spillway-Carried-|Spillway-Carried-Nats-|X-)[A-Za-z-]{0,8}`),
		rapid.SampledFrom([]string{
			"Nats-Msg-Id", "Nats-TTL", "Nats-Rollup", "Nats-Expected-Stream", "traceparent",
			envelope.HeaderStream, envelope.HeaderReason, "Nats-", "Nats", "", ":", "a b", "é",
		}),
	)
	value := rapid.SliceOfN(rapid.String(), 0, 3)
	return rapid.Map(rapid.MapOfN(key, value, 0, 6), func(m map[string][]string) nats.Header { return m })
}

func sameHeader(a, b nats.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

func clone(h nats.Header) nats.Header {
	c := make(nats.Header, len(h))
	for k, v := range h {
		c[k] = slices.Clone(v)
	}
	return c
}
