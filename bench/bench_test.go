package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
)

// TestMain is the child process of the memory scenario when it is started as one.
func TestMain(m *testing.M) {
	if name := os.Getenv(bubbleEnv); name != "" {
		bubble(name)
	}
	if os.Getenv(childEnv) != "" {
		os.Exit(child(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// Each scenario, so small that its figures mean nothing.
func TestScenariosRun(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			s := settings{scenario: sc.name, messages: 2000, repeat: 1, lap: 300 * time.Millisecond}
			rows, err := runOne(t.Context(), s, sc, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 0 {
				t.Fatal("no figures")
			}
			for _, r := range rows {
				if r.Claim == "" || r.Ours.Unit == "" {
					t.Errorf("row %+v has no claim or no figure of ours", r)
				}
				if (r.Bound == "") != (r.Verdict == "") {
					t.Errorf("row %+v has a bound without a verdict, or a verdict without a bound", r)
				}
			}
		})
	}
}

func TestDistance(t *testing.T) {
	const roundTrip = 20 * time.Millisecond
	b, err := startBroker(false, roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.stop(); err != nil {
			t.Error(err)
		}
	}()
	js, err := b.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer js.Conn().Close()
	if rtt, err := js.Conn().RTT(); err != nil || rtt < roundTrip {
		t.Errorf("a round trip takes %v, %v; want at least %v", rtt, err, roundTrip)
	}
}

// BenchmarkConsume drains b.N messages of 100 tenants with each contestant.
func BenchmarkConsume(b *testing.B) {
	for _, c := range []contestant{consumeCallback, consumePool, fetchLoop, spillway, watermillAsync, watermillSync} {
		b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
			br, err := startBroker(false, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer func() {
				if err := br.stop(); err != nil {
					b.Error(err)
				}
			}()
			js, err := br.connect()
			if err != nil {
				b.Fatal(err)
			}
			defer js.Conn().Close()
			e := &env{broker: br, js: js, log: b.Output()}
			load := backlog{"BENCH", b.N, 100, payloadBytes}
			if err := load.fill(b.Context(), js); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			if _, err := e.race(b.Context(), "d", load, c); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"nonsense"}, {"throughput", "isolation"}, {"all", "--nonsense"},
		{"all", "--messages", "-1"}, {"all", "--messages", strconv.Itoa(maxMessages + 1)},
		{"all", "--repeat", "-1"}, {"all", "--for", "-1s"}, {"all", "--rtt", "-1s"}, {"all", "--rtt", "2s"},
	} {
		var stderr strings.Builder
		if code := execute(t.Context(), args, t.Output(), &stderr); code != exitUsage || stderr.Len() == 0 {
			t.Errorf("bench %q: exit code %d, said %q; want %d and why", args, code, &stderr, exitUsage)
		}
	}
	for _, args := range [][]string{{"--json", "memory"}, {"memory", "--json"}} {
		if s, err := parse(args, t.Output()); err != nil || s.scenario != "memory" || !s.json {
			t.Errorf("bench %q: %+v, %v; want memory as JSON", args, s, err)
		}
	}
}

func TestReport(t *testing.T) {
	rep := report{Machine: measure.ThisMachine(), Rows: []row{
		{Scenario: "s", Claim: "fast", Ours: figure{1000, perSecond}, Peer: figure{500, perSecond}, Ratio: 2, Bound: "ratio >= 1.0", Verdict: judge(true)},
		{Scenario: "s", Claim: "small", Ours: figure{1 << 20, bytes}},
	}}
	if !rep.held() {
		t.Error("a report whose bounds hold does not hold")
	}
	var table, text strings.Builder
	if err := rep.writeTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cores", "1.0k/s", "0.5k/s", "2.000", "ok", "1.0 MiB"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table does not show %q:\n%s", want, &table)
		}
	}
	if err := rep.writeJSON(&text); err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal([]byte(text.String()), &back); err != nil || len(back.Rows) != 2 || back.Rows[0] != rep.Rows[0] {
		t.Errorf("JSON comes back as %+v, %v", back, err)
	}
	rep.Rows = append(rep.Rows, row{Verdict: judge(false)})
	if rep.held() {
		t.Error("a report with a missed bound holds")
	}
}
