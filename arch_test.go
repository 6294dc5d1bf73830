package spillway_test

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/spillwaymq/spillway"

// Modules from outside, by the names that the rules use.
const (
	nats       = "github.com/nats-io/nats.go"
	natsServer = "github.com/nats-io/nats-server/v2"
	prometheus = "github.com/prometheus/client_golang"
	promModel  = "github.com/prometheus/client_model" // its plain data
	redis      = "github.com/redis/go-redis/v9"
	miniredis  = "github.com/alicebob/miniredis/v2"
	hdr        = "github.com/HdrHistogram/hdrhistogram-go"
	chromedp   = "github.com/chromedp" // and its protocol
	kong       = "github.com/alecthomas/kong"
	yaml       = "github.com/goccy/go-yaml"
	zap        = "go.uber.org/zap"
	goleak     = "go.uber.org/goleak"
	rapid      = "pgregory.net/rapid"
)

// A place says what a package may import beside the standard library, and why. The
// packages are a star: leaves that know nobody, consumer that composes them, and
// wiring around it.
//
// A name is a package of ours, or a module from outside with all its packages. With
// "/..." it stands for everything below; with "/*" for everything one level below.
type place struct {
	pkg string
	may []string
	why string
}

// A new package fails TestEachPackageHasItsPlace until it is put here on purpose.
var places = []place{
	{".", nil, "it is documentation, and these tests"},
	{"limiter", nil, "a product of its own: of use without a broker"},
	{"limiter/redisbucket", []string{"limiter", "breaker", redis}, "Redis is for those who ask for a rate of a whole fleet; a breaker spares them the wait for one that is away"},
	{"breaker", nil, "a product of its own: of use without a broker"},
	{"flow", nil, "a product of its own: of use without a broker"},
	{"flow/metrics", []string{"flow", prometheus, promModel}, "who wants no Prometheus does not get it with flow"},
	{"tenants", nil, "a product of its own: it knows classes that open and close, no limiter and no breaker"},
	{"internal/envelope", []string{nats}, "the records in NATS: read by consumer and by the command alike"},
	{"internal/overloadsim", nil, "it simulates what limiters are for, and must not know them: peers are simulated too"},
	{"internal/fakedownstream", nil, "what demo, examples and benchmarks call: an HTTP server, which knows nobody"},
	{"internal/measure", []string{nats}, "what scenarios and the module bench share: figures, a stream to fill, the hand-written pool"},
	{"internal/scenario", wiring(), "claims of the whole, proven from outside"},
	{"internal/load", []string{nats, hdr}, "load comes from outside: it must not know what it measures"},
	{
		"consumer",
		[]string{"limiter", "breaker", "flow", "tenants", "internal/envelope", nats},
		"the only composer; its metrics, page and command read its snapshot, never the other way",
	},
	{"consumer/metrics", []string{"consumer", prometheus, promModel}, "an exporter imports the library, never the other way"},
	{"consumer/ops", []string{"consumer", "limiter"}, "a page over the snapshot, and changes of tenants, whose rates are limiter.Rate; the command brings /metrics to it"},
	{"consumer/consumertest", []string{nats, natsServer}, "consumer's own tests use it, so it cannot import consumer"},
	{"cmd/worker", wiring(natsServer, kong, yaml, zap), "wiring: flags, config, logs, an embedded server"},
	{"cmd/worker/internal/...", wiring(natsServer, kong, yaml, zap), "parts of the command"},
	{"examples/endtoend", wiring(natsServer), "the demo again, as a program of its own"},
	{"examples/*", wiring(), "wiring as a user would write it"},
	{"examples/endtoend/story", wiring(natsServer), "the demo of the command, to be read as an example"},
	{"deploy", wiring(yaml), "tests of what a team deploys"},
	{"docs", wiring(), "tests that keep the documents true"},
}

// wiring is what a program is made of: everything of ours that is not for tests.
func wiring(more ...string) []string {
	return append([]string{
		"limiter", "limiter/redisbucket", "breaker", "flow", "flow/metrics", "tenants",
		"consumer", "consumer/metrics", "consumer/ops",
		"internal/envelope", "internal/load", "internal/fakedownstream", "internal/measure", "internal/scenario",
		"examples/endtoend/story", "cmd/worker/internal/...",
		nats,
	}, more...)
}

// What tests may import in addition.
var (
	testTools     = []string{goleak, rapid}
	natsTestTools = []string{"consumer/consumertest", nats, natsServer} // of packages that may import nats.go or consumer, which needs a connection
)

// What tests of one package may import in addition.
var testPackages = map[string]string{
	"limiter":             "internal/overloadsim",
	"limiter/redisbucket": miniredis, // where no redis-server is installed
	"consumer/ops":        chromedp,  // the page is tested in a browser
}

// peers are compared with in the module bench, which keeps them out of ours.
var peers = []string{
	"github.com/ThreeDotsLabs/", "github.com/alitto/pond", "github.com/failsafe-go/", "github.com/go-redis/redis_rate",
	"github.com/hibiken/asynq", "github.com/panjf2000/ants", "github.com/platinummonkey/go-concurrency-limits",
	"github.com/redpanda-data/", "github.com/riverqueue/", "github.com/sony/gobreaker", "github.com/sourcegraph/conc",
	"github.com/warpstreamlabs/", "go.temporal.io/",
}

func TestEachPackageHasItsPlace(t *testing.T) {
	for _, p := range packages(t) {
		if _, ok := placeOf(p.name); !ok {
			t.Errorf("package %s is new: put it into the places of arch_test.go, with what it may import and why", p.name)
		}
	}
}

func TestImportsKeepToTheStar(t *testing.T) {
	for _, p := range packages(t) {
		pl, ok := placeOf(p.name)
		if !ok {
			continue // TestEachPackageHasItsPlace says so
		}
		for _, f := range p.files {
			for _, imp := range imports(f.ast) {
				if !allowed(pl, p.name, imp, f.isTest()) {
					t.Errorf("%s imports %s, but %s may import %s: %s",
						f.path, imp, p.name, cmp.Or(strings.Join(pl.may, ", "), "the standard library only"), pl.why)
				}
			}
		}
	}
}

func TestEachPackageHasADoc(t *testing.T) {
	for _, p := range packages(t) {
		if !slices.ContainsFunc(p.files, func(f file) bool { return !f.isTest() && f.ast.Doc.Text() != "" }) {
			t.Errorf("package %s has no doc comment: its first sentence says what it is", p.name)
		}
	}
}

// Who asks what may still run when Run has returned has one file to read.
func TestConsumerStartsGoroutinesInRunOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.name != "consumer" {
			continue
		}
		for _, f := range p.files {
			if f.isTest() || path.Base(f.path) == "run.go" {
				continue
			}
			for _, pos := range goroutines(f.ast) {
				t.Errorf("%s: a goroutine starts here; package consumer starts them in run.go only, where Run waits for them", f.position(pos))
			}
		}
	}
}

func TestNoPeerIsInOurModule(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(strings.NewReader(string(mod)))
	for lines.Scan() {
		for _, peer := range peers {
			if strings.Contains(lines.Text(), peer) {
				t.Errorf("go.mod: %s: a peer belongs into bench/go.mod", strings.TrimSpace(lines.Text()))
			}
		}
	}
}

// The rules themselves, on a case of each kind.
func TestRules(t *testing.T) {
	for _, tt := range []struct {
		pkg, imp string
		test     bool
		want     bool
	}{
		{"limiter", "sync/atomic", false, true},
		{"limiter", "breaker", false, false},
		{"limiter", nats, false, false},
		{"limiter", nats, true, false},
		{"limiter", rapid, true, true},
		{"limiter", rapid, false, false},
		{"limiter", "internal/overloadsim", true, true},
		{"limiter", "internal/overloadsim", false, false},
		{"tenants", "limiter", true, false},
		{"tenants", "golang.org/x/time/rate", false, false},
		{"consumer", nats + "/jetstream", false, true},
		{"consumer", nats + "x", false, false},
		{"consumer", "consumer/consumertest", true, true},
		{"consumer", "consumer/consumertest", false, false},
		{"consumer", prometheus + "/prometheus", false, false},
		{"consumer", zap, false, false},
		{"consumer/metrics", prometheus + "/prometheus", false, true},
		{"cmd/worker", prometheus + "/prometheus", false, false},
		{"cmd/worker", natsServer + "/server", false, true},
		{"cmd/worker/internal/config", zap + "/zapcore", false, true},
		{"examples/minimal", natsServer + "/server", false, false},
		{"examples/minimal", natsServer + "/server", true, true},
	} {
		imp := tt.imp
		if !strings.Contains(imp, ".") && imp != "sync/atomic" {
			imp = module + "/" + imp
		}
		pl, ok := placeOf(tt.pkg)
		if !ok {
			t.Fatalf("%s has no place", tt.pkg)
		}
		if got := allowed(pl, tt.pkg, imp, tt.test); got != tt.want {
			t.Errorf("%s imports %s (in a test: %t): allowed %t, want %t", tt.pkg, imp, tt.test, got, tt.want)
		}
	}
}

func placeOf(pkg string) (place, bool) {
	i := slices.IndexFunc(places, func(p place) bool { return covers(p.pkg, pkg) })
	if i < 0 {
		return place{}, false
	}
	return places[i], true
}

func allowed(p place, pkg, imp string, inTest bool) bool {
	first, _, _ := strings.Cut(imp, "/")
	if !strings.Contains(first, ".") {
		return true // the standard library
	}
	may := slices.Clone(p.may)
	if inTest {
		may = append(append(may, pkg), testTools...)
		if p, ok := testPackages[pkg]; ok {
			may = append(may, p)
		}
		if slices.Contains(p.may, nats) || slices.Contains(p.may, "consumer") {
			may = append(may, natsTestTools...)
		}
	}
	ours, isOurs := strings.CutPrefix(imp, module+"/")
	return slices.ContainsFunc(may, func(m string) bool {
		if isOurs {
			return covers(m, ours)
		}
		return imp == m || strings.HasPrefix(imp, m+"/")
	})
}

// covers tells whether the name of a place or a permission stands for the package.
func covers(name, pkg string) bool {
	if below, ok := strings.CutSuffix(name, "..."); ok {
		return strings.HasPrefix(pkg, below)
	}
	if parent, ok := strings.CutSuffix(name, "/*"); ok {
		return path.Dir(pkg) == parent
	}
	return name == pkg
}

type file struct {
	path string // from the root of the module
	fset *token.FileSet
	ast  *ast.File
}

func (f file) isTest() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f file) position(p token.Pos) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(p).Line)
}

type pkg struct {
	name  string // from the root of the module; "." is the root
	files []file
}

// packages parses all Go files of the module, whatever their build tags are. It reads
// them itself, rather than ask the go command, so that a cached result of this test is
// not used after one of them changed.
func packages(t *testing.T) []pkg {
	t.Helper()
	fset, found := token.NewFileSet(), make(map[string][]file)
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(name)
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		tree, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		found[path.Dir(slash)] = append(found[path.Dir(slash)], file{slash, fset, tree})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]pkg, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, pkg{name, found[name]})
	}
	return all
}

// skip leaves out what the go command leaves out, and modules inside this one.
func skip(dir string) error {
	base := filepath.Base(dir)
	if dir == "." {
		return nil
	}
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func imports(f *ast.File) []string {
	var paths []string
	for _, spec := range f.Imports {
		if imp, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, imp)
		}
	}
	return paths
}

// goroutines finds go statements and calls of a method named Go, as of sync.WaitGroup.
func goroutines(f *ast.File) []token.Pos {
	var starts []token.Pos
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			starts = append(starts, n.Pos())
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" {
				starts = append(starts, n.Pos())
			}
		}
		return true
	})
	return starts
}
