package envelope_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestTokenKeepsPlainNamesAndEscapesTheRest(t *testing.T) {
	for name, want := range map[string]string{
		"":         "_",
		"_":        "%5F",
		"__":       "__",
		"acme":     "acme",
		"ACME-4_2": "ACME-4_2",
		"a.b":      "a%2Eb",
		"*":        "%2A",
		">":        "%3E",
		"a b":      "a%20b",
		"50%":      "50%25",
		"%2E":      "%252E",
		"é":        "%C3%A9",
		"\xff":     "%FF",
		"a\r\nb":   "a%0D%0Ab",
		"$(rm x)":  "%24%28rm%20x%29",
	} {
		if got := envelope.Token(name); got != want {
			t.Errorf("Token(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestTokensOfDifferentNamesDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyName().Draw(t, "a"), anyName().Draw(t, "b")
		checkTokens(t, a, b)
		checkTokens(t, a, envelope.Token(a)) // a name that looks like a token
		checkTokens(t, a, a+b)
	})
}

func TestTokensOfLongNamesWithOneBeginningDiffer(t *testing.T) {
	long := strings.Repeat("x", 1000)
	seen := make(map[string]string)
	for _, name := range []string{long, long + "y", long + "z", long[:129], long[:128], long[:128] + ".", long[:127] + "."} {
		token := envelope.Token(name)
		if other, ok := seen[token]; ok {
			t.Errorf("names of %d and %d bytes share the token %q", len(name), len(other), token)
		}
		seen[token] = name
	}
}

func TestLanesOfDifferentDurablesDiffer(t *testing.T) {
	durable := rapid.StringMatching(`[a-z]{1,3}(_retry|_suspect){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := durable.Draw(t, "a"), durable.Draw(t, "b")
		if a == b {
			t.Skip("one durable")
		}
		of := func(d string) []string {
			return []string{
				envelope.RetryConsumer(d), envelope.SuspectConsumer(d),
				envelope.RetrySubject("O", d), envelope.SuspectSubject("O", d),
			}
		}
		for i, x := range of(a) {
			for j, y := range of(b) {
				if x == y {
					t.Fatalf("%q and %q share %q (%d, %d)", a, b, x, i, j)
				}
			}
		}
	})
}

func TestDeadLettersOfATenantHaveOneSubject(t *testing.T) {
	if got, want := envelope.DeadLetterSubject("JOBS_DEAD", "worker", "a.b"), "JOBS_DEAD.worker.a%2Eb"; got != want {
		t.Errorf("DeadLetterSubject = %q, want %q", got, want)
	}
}

func FuzzToken(f *testing.F) {
	long := strings.Repeat("long.", 40)
	for _, pair := range [][2]string{{"", "_"}, {"_", "%5F"}, {"a.b", "a%2Eb"}, {long, long + "."}, {"\xff", "�"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) { checkTokens(t, a, b) })
}

// anyName draws what a stranger may call a tenant, seldom longer than a token.
func anyName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[_%.A-F0-9a-f*> -]{0,12}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), func(b []byte) string { return string(b) }),
		rapid.Map(rapid.IntRange(100, 300), func(n int) string { return strings.Repeat("ab", n/2) }),
	)
}

type failer interface {
	Fatalf(format string, args ...any)
}

// checkTokens checks that the tokens of a and b are valid, and the same only when
// the names are.
func checkTokens(t failer, a, b string) {
	ta, tb := envelope.Token(a), envelope.Token(b)
	if (ta == tb) != (a == b) {
		t.Fatalf("Token(%q) = %q and Token(%q) = %q", a, ta, b, tb)
	}
	if name, ok := envelope.Name(ta); ok != !strings.Contains(ta, "%%") || ok && name != a {
		t.Fatalf("Name(%q) = %q, %v; it is the token of %q", ta, name, ok, a)
	}
	for _, token := range []string{ta, tb} {
		if token == "" || len(token) > 128 {
			t.Fatalf("token %q is %d bytes long, must be between 1 and 128", token, len(token))
		}
		if i := strings.IndexFunc(token, isHostile); i >= 0 {
			t.Fatalf("token %q has %q at %d", token, token[i], i)
		}
	}
}

func isHostile(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_%", r)
}

func TestTheSubjectOfAnOverflowTellsWhoseItIs(t *testing.T) {
	seen := make(map[string]envelope.Spill)
	consumers := make(map[string]envelope.Spill)
	for _, s := range []envelope.Spill{
		{Downstream: "billing", Tenant: "acme"},
		{Downstream: "billing", Tenant: "acme", Front: true},
		{Downstream: "billing", Tenant: "front"},
		{Downstream: "billing", Tenant: "front", Front: true},
		{Downstream: "front", Tenant: "front"},
		{Downstream: envelope.Token("a.b"), Tenant: envelope.Token("")},
	} {
		subject := s.Subject("JOBS_OVERFLOW", "worker")
		if got, ok := envelope.ParseSpillSubject("JOBS_OVERFLOW", "worker", subject); !ok || got != s {
			t.Errorf("%s is of %+v (%t), want %+v", subject, got, ok, s)
		}
		if other, ok := seen[subject]; ok {
			t.Errorf("%+v and %+v have the subject %s", s, other, subject)
		}
		if other, ok := consumers[s.Consumer("worker")]; ok {
			t.Errorf("%+v and %+v have the same consumer", s, other)
		}
		seen[subject], consumers[s.Consumer("worker")] = s, s
	}
	for _, subject := range []string{
		"JOBS_OVERFLOW.worker.spill.billing", "JOBS_OVERFLOW.worker.spill.billing.", "JOBS_OVERFLOW.worker.spill..acme",
		"JOBS_OVERFLOW.worker.spill.billing.acme.back", "JOBS_OVERFLOW.worker.spill.billing.acme.front.front",
		"JOBS_OVERFLOW.worker.retry", "JOBS_OVERFLOW.another.spill.billing.acme", "",
	} {
		if s, ok := envelope.ParseSpillSubject("JOBS_OVERFLOW", "worker", subject); ok {
			t.Errorf("%q is taken for that of %+v", subject, s)
		}
	}
}
