package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func documents(t *testing.T) []string {
	t.Helper()
	docs, err := filepath.Glob("../docs/*.md")
	if err != nil || len(docs) == 0 {
		t.Fatalf("documents %q, %v", docs, err)
	}
	return docs
}

// A row of failure-modes.md is true as long as its test is there, and passes.
func TestTheTestsThatTheDocsNameExist(t *testing.T) {
	tests := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(read(t, path), -1) {
			tests[m[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, doc := range documents(t) {
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(read(t, doc), -1) {
			named++
			if !tests[name] {
				t.Errorf("%s names %s, which is no test", doc, name)
			}
		}
	}
	if named < 40 {
		t.Errorf("the docs name %d tests, want each row of failure-modes.md to have one", named)
	}
}

func TestLinksOfTheDocsLeadSomewhere(t *testing.T) {
	for _, doc := range documents(t) {
		text := read(t, doc)
		for _, m := range regexp.MustCompile(`\]\(([^)#]*)(#[\w-]*)?\)`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
			if m[1] == "" && !slices.Contains(anchors(text), m[2]) {
				t.Errorf("%s: there is no heading %s", doc, m[2])
			}
		}
	}
}

// anchors returns the headings of a document as links name them.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		all = append(all, "#"+strings.ReplaceAll(strings.ToLower(m[1]), " ", "-"))
	}
	return all
}

// What tuning.md leaves out says what the work is, not how it goes.
func TestTuningTellsEverySetting(t *testing.T) {
	left := strings.Fields(`nats url credentials domain tls ca cert key stream durable subjects filter_subjects
		deliver manage tenant subject_token header fallback handlers subject downstream http exec discard command delay
		headers value dead_letter_on ops listen token_file log level format password_file disabled
		tenants default overrides acme downstreams billing limit breaker buffer retry dead_letter overflow redis`)
	code, out := run(t, worker(t), "validate", "--config", "../cmd/worker/example.yaml", "--file-only", "--print")
	if code != 0 {
		t.Fatalf("validate: exit %d\n%s", code, out)
	}
	text := read(t, "../docs/tuning.md")
	for _, m := range regexp.MustCompile(`(?m)^[ -]*(\w+):|[{ ,](\w+):`).FindAllStringSubmatch(out, -1) {
		key := m[1] + m[2]
		if !slices.Contains(left, key) && !regexp.MustCompile(`\b`+key+`\b`).MatchString(text) {
			t.Errorf("docs/tuning.md does not tell of %s", key)
		}
	}
}
