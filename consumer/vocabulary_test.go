package consumer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// Who exports them as labels must not miss one that was declared.
func TestTheVocabularyIsAllThatIsDeclared(t *testing.T) {
	declared := declaredStrings(t)
	for typ, got := range map[string][]string{
		"Outcome":        texts(consumer.Outcomes()),
		"Result":         texts(consumer.Results()),
		"Reason":         texts(consumer.Reasons()),
		"OverflowPolicy": texts(consumer.OverflowPolicies()),
		"PauseReason":    texts(consumer.PauseReasons()),
		"WaitReason":     texts(consumer.WaitReasons()),
		"BreakerState":   texts(consumer.BreakerStates()),
	} {
		want := declared[typ]
		if len(want) == 0 || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("values of %s: %q are told, %q declared", typ, got, want)
		}
	}
	consumer.Outcomes()[0], consumer.Reasons()[0] = "x", "x"
	if consumer.Outcomes()[0] == "x" || consumer.Reasons()[0] == "x" {
		t.Error("who changes what was returned changes it for others")
	}
}

func texts[T ~string](list []T) (s []string) {
	for _, v := range list {
		s = append(s, string(v))
	}
	return s
}

// declaredStrings returns the string constants of the package, by type.
func declaredStrings(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, _ := spec.Type.(*ast.Ident)
			lit, _ := spec.Values[0].(*ast.BasicLit)
			if typ != nil && lit != nil && lit.Kind == token.STRING {
				s, _ := strconv.Unquote(lit.Value)
				found[typ.Name] = append(found[typ.Name], s)
			}
			return true
		})
	}
	return found
}

func TestNamesOfTenantsAreBoundedAndPrintable(t *testing.T) {
	for name, want := range map[string]bool{
		"acme": true, "Größe 1": true, strings.Repeat("x", consumer.MaxTenantBytes): true,
		"": false, "a\x00": false, "a\x1b[31m": false, "\xff": false, strings.Repeat("x", consumer.MaxTenantBytes+1): false,
	} {
		if got := consumer.ValidTenant(name); got != want {
			t.Errorf("%.40q: %t, want %t", name, got, want)
		}
	}
}

func TestWithDefaultsShowsWhatIsInForce(t *testing.T) {
	got := consumer.Config{Stream: "JOBS", Workers: 3, Retry: consumer.Retry{Initial: time.Hour, Jitter: -1}}.WithDefaults()
	if got.Workers != 3 || got.AckWait != 30*time.Second || got.Overflow.Stream != "JOBS_OVERFLOW" || got.Tenants.Queue != 256 {
		t.Errorf("workers %d, ack wait %v, overflow %+v, tenants %+v", got.Workers, got.AckWait, got.Overflow, got.Tenants)
	}
	if got.Retry.Max != time.Hour || got.Retry.Jitter != 0 {
		t.Errorf("retry %+v", got.Retry)
	}
}
