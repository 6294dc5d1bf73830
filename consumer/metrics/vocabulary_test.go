package metrics

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// The lists of label values are written down here a second time, since consumer does
// not export them; a value that was added there must be added here.
func TestEveryValueThatConsumerDeclaresHasACounterOfItsOwn(t *testing.T) {
	declared := declaredValues(t)
	for typ, list := range map[string]struct {
		values []string
		room   int
	}{
		"Outcome":        {values(outcomes), maxOutcomes},
		"Result":         {values(results), maxResults},
		"OverflowPolicy": {values(policies), maxPolicies},
		"Reason":         {values(reasons), len(reasons) + 1},
	} {
		want := declared[typ]
		got := slices.Sorted(slices.Values(list.values))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("values of %s: %q here, %q in consumer", typ, got, want)
		}
		if len(list.values) >= list.room {
			t.Errorf("%d values of %s, and room for %d and an unknown one", len(list.values), typ, list.room-1)
		}
	}
}

func values[T ~string](list []T) []string {
	var s []string
	for _, v := range list {
		s = append(s, string(v))
	}
	return s
}

// declaredValues returns the string constants of the package consumer, by type.
func declaredValues(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.CONST {
				addConstants(found, gen)
			}
		}
	}
	return found
}

func addConstants(found map[string][]string, gen *ast.GenDecl) {
	for _, spec := range gen.Specs {
		vs := spec.(*ast.ValueSpec)
		typ, ok := vs.Type.(*ast.Ident)
		if !ok || len(vs.Values) != 1 {
			continue
		}
		if lit, ok := vs.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, _ := strconv.Unquote(lit.Value)
			found[typ.Name] = append(found[typ.Name], s)
		}
	}
}
