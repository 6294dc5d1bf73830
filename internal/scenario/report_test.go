package scenario

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// aReport has a row of each kind.
func aReport() *Report {
	r := &Report{
		Version: "v1.2.3", Machine: Machine{OS: "linux", Arch: "amd64", CPU: "Some CPU", Cores: 2, Go: "go1.26.8"},
		Began: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Seed: 1, Scale: 1, Embedded: true,
		Took:      []Took{{"flood", 12.5}, {"whale", 0}},
		Disturbed: []Disturbance{{"flood", 0.42}},
	}
	r.add(Scenario{Name: "flood"}, []Row{
		quietBound("p99", 5*time.Millisecond, 2*time.Millisecond, 5*time.Millisecond).
			beside(Figure{Value: 3, Unit: Seconds, AtLeast: true}),
		atLeast("skim", ofRate(79_000), ofRate(80_000)),
		exact("lost | or twice", 0, 0).noting("of %d", 12),
		atMost("memory", ofBytes(uint64(6<<20)), ofBytes(uint64(128<<20))).must(),
		atMost("off", ofShare(0.003), ofShare(0.01)),
	})
	r.add(Scenario{Name: "whale"}, []Row{{Claim: "a million", Verdict: Skipped, Note: "it is large"}})
	return r
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("it is not what %s holds:\n%s", name, got)
	}
}

func TestReportIsWrittenAsTableMarkdownAndJSON(t *testing.T) {
	var table, markdown, document bytes.Buffer
	r := aReport()
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteJSON(&document); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", table.Bytes())
	golden(t, "report.md", markdown.Bytes())
	golden(t, "report.json", document.Bytes())
	var back Report
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || !reflect.DeepEqual(&back, r) {
		t.Errorf("read back it is %+v (%v)", back, err)
	}
}

func TestAReportHoldsUnlessARowIsShortOrItWasBrokenOff(t *testing.T) {
	ok, short, skipped := Row{Verdict: OK}, Row{Verdict: Short}, Row{Verdict: Skipped}
	for _, tt := range []struct {
		rows   []Row
		broken bool
		want   bool
	}{
		{nil, false, true},
		{[]Row{ok, skipped}, false, true},
		{[]Row{ok, short}, false, false},
		{[]Row{ok}, true, false},
	} {
		r := &Report{Rows: tt.rows, Interrupted: tt.broken}
		if got := r.Holds(); got != tt.want {
			t.Errorf("with %+v, broken off %v: %v", tt.rows, tt.broken, got)
		}
	}
}

func TestFiguresAreWrittenForPeople(t *testing.T) {
	for _, tt := range []struct {
		f    Figure
		want string
	}{
		{Figure{}, "-"},
		{ofRate(602.4), "602/s"},
		{ofRate(187_543), "187.5k/s"},
		{ofDuration(1234567 * time.Nanosecond), "1.23ms"},
		{Figure{Value: 2.9712, Unit: Seconds, AtLeast: true}, "> 2.97s"},
		{ofBytes(uint64(7_800_000)), "7.4 MiB"},
		{ofCount(1234567), "1,234,567"},
		{ofCount(-123), "-123"},
		{ofCount(-1234), "-1,234"},
		{ofShare(0.0034), "0.3 %"},
	} {
		if got := tt.f.String(); got != tt.want {
			t.Errorf("%+v is written %q, want %q", tt.f, got, tt.want)
		}
	}
}
