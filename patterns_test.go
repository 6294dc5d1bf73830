package spillway_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A link is one of the pattern index in README.md: [text](path).
type link struct{ text, path string }

var linkSyntax = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)

// patterns is how many the index has; one that goes must be taken out of here on purpose.
const patterns = 21

// The index says where to look, so it must be right: each file is there, and in it the
// type or function that the link names, or the Example; and each pattern has one Example
// that go test runs, unless it is a command.
func TestThePatternIndexLinksToWhatItSays(t *testing.T) {
	rows := patternIndex(t)
	if len(rows) < patterns {
		t.Fatalf("the index has %d rows", len(rows))
	}
	for pattern, links := range rows {
		if len(links) == 0 {
			t.Errorf("%q links to nothing", pattern)
		}
		runs := false
		for _, l := range links {
			example, output := checkLink(t, pattern, l)
			runs = runs || output
			if !example && strings.HasPrefix(l.path, "cmd/") {
				runs = true
			}
		}
		if !runs {
			t.Errorf("%q has no Example that go test runs: one with an Output comment", pattern)
		}
	}
}

// patternIndex returns the links of each row.
func patternIndex(t *testing.T) map[string][]link {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "| pattern | type |\n| --- | --- |\n")
	if !found {
		t.Fatal("README.md has no table that begins with | pattern | type |")
	}
	rows := make(map[string][]link)
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 2 {
			t.Fatalf("a row with %d cells: %s", len(cells), line)
		}
		pattern := strings.TrimSpace(cells[0])
		if rows[pattern] != nil {
			t.Errorf("%q is there twice", pattern)
		}
		for _, m := range linkSyntax.FindAllStringSubmatch(cells[1], -1) {
			rows[pattern] = append(rows[pattern], link{strings.Trim(m[1], "`"), m[2]})
		}
	}
	return rows
}

// checkLink tells whether l is an Example, and whether go test compares its output.
func checkLink(t *testing.T, pattern string, l link) (example, output bool) {
	t.Helper()
	if !filepath.IsLocal(l.path) {
		t.Errorf("%q links to %s, which is not a path in this repository", pattern, l.path)
		return false, false
	}
	if _, err := os.Stat(l.path); err != nil {
		t.Errorf("%q: %v", pattern, err)
		return false, false
	}
	name, isExample := strings.CutPrefix(l.text, "Example")
	if !strings.HasSuffix(l.path, ".go") {
		return false, false
	}
	tree, err := parser.ParseFile(token.NewFileSet(), l.path, nil, parser.ParseComments)
	if err != nil {
		t.Errorf("%q: %v", pattern, err)
		return false, false
	}
	if !isExample {
		if symbol := symbolOf(l.text); symbol != "" && !declares(tree, symbol) {
			t.Errorf("%q links to %s for %s, which does not declare it", pattern, l.path, l.text)
		}
		return false, false
	}
	examples := doc.Examples(tree)
	i := slices.IndexFunc(examples, func(e *doc.Example) bool { return e.Name == name })
	if i < 0 {
		t.Errorf("%q links to %s for %s, which is not there", pattern, l.path, l.text)
		return true, false
	}
	return true, examples[i].Output != "" || examples[i].EmptyOutput
}

// symbolOf returns "Pool.Close" for "flow.Pool.Close", and nothing for the name of a package
// or a command.
func symbolOf(text string) string {
	_, symbol, _ := strings.Cut(text, ".")
	return symbol
}

// declares tells whether the file declares the type, the function or the method.
func declares(tree *ast.File, symbol string) bool {
	for _, d := range tree.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiver(d)+d.Name.Name == symbol {
				return true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.Name == symbol {
					return true
				}
			}
		}
	}
	return false
}

// receiver returns "Pool." for a method of Pool, *Pool or Pool[T].
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	var name string
	ast.Inspect(f.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return true
	})
	return name + "."
}
