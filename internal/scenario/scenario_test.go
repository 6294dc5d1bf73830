package scenario_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/scenario"
)

// asChild in the environment makes this test binary a process of a scenario.
const asChild = "RUN_AS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", "6"); err != nil { // scenarios mostly wait
			panic(err)
		}
		// The server's clock has one goroutine for the life of the process.
		goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
		return
	}
	err := scenario.ServeTask(context.Background(), os.Stdin, os.Stdout, func(s scenario.Server) (jetstream.JetStream, error) {
		return dial(s.URL)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is the main of a process
	}
	os.Exit(0) //nolint:forbidigo // this is the main of a process
}

func dial(url string) (jetstream.JetStream, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	return jetstream.New(nc)
}

// tiny is a scale at which a scenario takes a second or so.
const tiny = 0.02

// config runs scenarios on a server of the test.
func config(t *testing.T, s *consumertest.Server) scenario.Config {
	url := s.URL(t)
	return scenario.Config{
		Connect: func() (jetstream.JetStream, error) { return dial(url) },
		Server:  scenario.Server{URL: url},
		Child: func(ctx context.Context) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), asChild+"=1")
			return cmd, nil
		},
		Embedded: true, Seed: 7, Scale: tiny,
	}
}

// streams are those on the server.
func streams(t *testing.T, s *consumertest.Server) (names []string) {
	t.Helper()
	for name := range s.JetStream(t).StreamNames(context.Background()).Name() {
		names = append(names, name)
	}
	return names
}

func TestEachScenarioHoldsAtATinyScaleWhatIsExact(t *testing.T) {
	for _, sc := range scenario.All() {
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel() // they mostly wait
			s := consumertest.NewServer(t, consumertest.WithListen())
			report, err := scenario.Run(t.Context(), config(t, s), []scenario.Scenario{sc})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Rows) == 0 {
				t.Error("it says nothing")
			}
			for _, row := range report.Rows {
				t.Logf("%s: plain %v, ours %v, %s: %s %s", row.Claim, row.Plain, row.Ours, row.Bound, row.Verdict, row.Note)
				if row.Exact && row.Verdict != scenario.OK {
					t.Errorf("%s: %v, must be %s: %s; %s", row.Claim, row.Ours, row.Bound, row.Verdict, row.Note)
				}
				if row.Scenario != sc.Name || row.Claim == "" || row.Bound == "" || row.Ours.Unit == "" {
					t.Errorf("the row is not complete: %+v", row)
				}
			}
			if left := streams(t, s); len(left) > 0 || len(report.Left) > 0 {
				t.Errorf("left behind are %v, %v", left, report.Left)
			}
		})
	}
}

func TestEachScenarioHasANameAClaimAndADoc(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range scenario.All() {
		if s.Name == "" || s.Claim == "" || s.Doc == "" || s.Run == nil || seen[s.Name] {
			t.Errorf("%+v is not complete, or its name not its own", s)
		}
		if strings.ContainsAny(s.Name, " _,") || strings.ToLower(s.Name) != s.Name {
			t.Errorf("%q is no name for a flag", s.Name)
		}
		seen[s.Name] = true
	}
}

// making is a scenario that makes streams as a Consumer does, and ends in end.
func making(end func(ctx context.Context) ([]scenario.Row, error)) scenario.Scenario {
	return scenario.Scenario{Name: "making", Claim: "it makes", Doc: "It makes.", Run: func(ctx context.Context, r *scenario.Rig) ([]scenario.Row, error) {
		if err := scenario.MakeStreams(ctx, r); err != nil {
			return nil, err
		}
		return end(ctx)
	}}
}

func TestWhatAScenarioMadeIsRemovedHoweverItEnds(t *testing.T) {
	t.Parallel() // it mostly waits
	s := consumertest.NewServer(t, consumertest.WithListen())
	s.Stream(t, "SPILLWAY_BENCH_OF_SOMEBODY_ELSE")
	for name, end := range map[string]func(context.Context) ([]scenario.Row, error){
		"failed":   func(context.Context) ([]scenario.Row, error) { return nil, errors.New("no luck") },
		"panicked": func(context.Context) ([]scenario.Row, error) { panic("no luck") },
		"late":     func(ctx context.Context) ([]scenario.Row, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		cfg := config(t, s)
		cfg.Limit = 500 * time.Millisecond
		report, err := scenario.Run(t.Context(), cfg, []scenario.Scenario{making(end), making(end)})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Rows) != 2 || report.Rows[1].Verdict != scenario.Short || !strings.Contains(report.Rows[1].Note, "could not be brought to its end") {
			t.Errorf("%s: rows are %+v", name, report.Rows)
		}
		if report.Holds() {
			t.Errorf("%s: it is said to hold", name)
		}
		if left := streams(t, s); len(left) != 1 {
			t.Errorf("%s: streams are %v", name, left)
		}
	}
}

func TestACancelBreaksOffAndCleansUp(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen())
	ctx, cancel := context.WithCancel(t.Context())
	never := making(func(context.Context) ([]scenario.Row, error) {
		t.Error("a scenario runs after the cancel")
		return nil, nil
	})
	report, err := scenario.Run(ctx, config(t, s), []scenario.Scenario{making(func(ctx context.Context) ([]scenario.Row, error) {
		cancel()
		return nil, ctx.Err()
	}), never})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Interrupted || report.Holds() || len(report.Rows) != 0 {
		t.Errorf("the report is %+v", report)
	}
	if left := streams(t, s); len(left) != 0 {
		t.Errorf("streams are %v", left)
	}
}

func TestACancelEndsARealScenarioSoon(t *testing.T) {
	t.Parallel() // it mostly waits
	s := consumertest.NewServer(t, consumertest.WithListen())
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, s)
	cfg.Scale = 1
	cfg.Progress = func(p scenario.Progress) {
		if strings.HasPrefix(p.Doing, "handling") {
			cancel()
		}
	}
	chosen, err := scenario.Choose(scenario.All(), []string{"leases"})
	if err != nil {
		t.Fatal(err)
	}
	report, err := scenario.Run(ctx, cfg, chosen)
	if err != nil || !report.Interrupted {
		t.Errorf("the report is %+v (%v)", report, err)
	}
	if left := streams(t, s); len(left) != 0 {
		t.Errorf("streams are %v", left)
	}
}

func TestOnAServerOfTheUsersSomeAreSkippedAndSayWhy(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen())
	cfg := config(t, s)
	cfg.Embedded = false
	large := making(nil)
	large.Embedded = "it is large"
	report, err := scenario.Run(t.Context(), cfg, []scenario.Scenario{large})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 1 || report.Rows[0].Verdict != scenario.Skipped || report.Rows[0].Note != "it is large" || !report.Holds() {
		t.Errorf("the report is %+v", report)
	}
}

func TestProgressTellsTheBeginningAndTheVerdict(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen())
	cfg := config(t, s)
	var told []scenario.Progress
	cfg.Progress = func(p scenario.Progress) { told = append(told, p) }
	row := scenario.Row{Claim: "it holds", Verdict: scenario.OK}
	_, err := scenario.Run(t.Context(), cfg, []scenario.Scenario{making(func(context.Context) ([]scenario.Row, error) { return []scenario.Row{row}, nil })})
	if err != nil || len(told) < 2 {
		t.Fatalf("told is %+v (%v)", told, err)
	}
	first, last := told[0], told[len(told)-1]
	if first.Ended || first.Scenario != "making" || first.Number != 1 || first.Of != 1 || first.Doing == "" {
		t.Errorf("first told is %+v", first)
	}
	if !last.Ended || last.Verdict != scenario.OK || last.Elapsed <= 0 {
		t.Errorf("last told is %+v", last)
	}
}

func TestChooseKeepsTheOrderAndNamesWhatThereIsNot(t *testing.T) {
	all := scenario.All()
	chosen, err := scenario.Choose(all, []string{"drain", "flood", "drain"})
	if err != nil || len(chosen) != 2 || chosen[0].Name != "flood" || chosen[1].Name != "drain" {
		t.Errorf("chosen are %v (%v)", scenario.Names(chosen), err)
	}
	if chosen, err := scenario.Choose(all, nil); err != nil || len(chosen) != len(all) {
		t.Errorf("without names chosen are %v (%v)", scenario.Names(chosen), err)
	}
	_, err = scenario.Choose(all, []string{"flood", "flod"})
	var unknown *scenario.UnknownError
	if !errors.As(err, &unknown) || unknown.Name != "flod" || len(unknown.Known) != len(all) {
		t.Errorf("the error is %v", err)
	}
}

func TestConfigNamesEachMistake(t *testing.T) {
	_, err := scenario.Run(t.Context(), scenario.Config{Scale: -1, Limit: -time.Second}, nil)
	for _, want := range []string{"Config.Connect is nil", "Config.Scale is -1, must be from 0.001 to 100", "Config.Limit is -1s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not say %q", err, want)
		}
	}
}

func TestAServerThatIsAwayIsSaidToBe(t *testing.T) {
	cfg := scenario.Config{Connect: func() (jetstream.JetStream, error) { return dial("nats://127.0.0.1:1") }, Embedded: true}
	report, err := scenario.Run(t.Context(), cfg, []scenario.Scenario{making(nil)})
	if err != nil || len(report.Rows) != 1 || report.Rows[0].Verdict != scenario.Short || !strings.Contains(report.Rows[0].Note, "connect") {
		t.Errorf("the report is %+v (%v)", report, err)
	}
}
