package load_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"

	"context"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

// stalled returns an open and a closed run over a stall.
func stalled(t *testing.T) (open, closed *load.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "1000/s:10s", "100/s:1s")})
		open = r.Run(t.Context(), stalling(time.Millisecond))
		closed = r.RunClosed(t.Context(), stalling(time.Millisecond), 10)
	})
	return open, closed
}

func TestTheComparisonExplainsItself(t *testing.T) {
	open, closed := stalled(t)
	var text bytes.Buffer
	if err := load.WriteComparison(&text, open, closed); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	for _, want := range []string{"OPEN LOOP", "CLOSED LOOP", "coordination", "p99 ", "never sent"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, text.String())
		}
	}
}

func TestTheTextSaysWhetherTheRunIsValid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := load.Func(func(context.Context, load.Request) error { return nil })
		bad := load.Func(func(context.Context, load.Request) error { return errors.New("no") })
		r := runner(t, load.Config{Stages: parsed(t, "100/s:1s", "10/s:1s"), Tenants: load.ZipfTenants("t", 12, 1)})
		for target, want := range map[*load.Func]string{&ok: "The run is valid", &bad: "failed 110 times: no\n\nTHE RUN IS NOT VALID:\n  no request succeeded"} {
			var text bytes.Buffer
			if err := r.Run(t.Context(), *target).WriteText(&text); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{want, "100/s:1s", "\"t1\"", "and 2 tenants more", "p99.9", "SEND LAG"} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("it does not say %q:\n%s", want, text.String())
				}
			}
		}
	})
}

func TestTheJSONIsOfSeconds(t *testing.T) {
	open, _ := stalled(t)
	text, err := json.Marshal(open)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Scheduled, Sent, Dropped int64
		Seconds                  float64
		Latency                  struct {
			Count     int64
			Max       float64
			Quantiles map[string]float64
		}
		Stages  []struct{ Stage string }
		Invalid []string
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got.Scheduled != 10_100 || got.Latency.Count != 10_100 || got.Stages[1].Stage != "100/s:1s" || got.Invalid == nil {
		t.Errorf("%s", text)
	}
	about(t, "max", got.Latency.Max, 1, 0.01)
	about(t, "p50", got.Latency.Quantiles["p50"], 0.001, 0.0001)
}

func TestTheHistogramIsInTheFormOfHdrHistogram(t *testing.T) {
	open, _ := stalled(t)
	var text bytes.Buffer
	if err := open.Latency.WriteHDR(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Value") || !strings.Contains(text.String(), "1/(1-Percentile)") || !strings.Contains(text.String(), "#[Max") {
		t.Errorf("it is\n%s", text.String())
	}
}

func TestThePlotIsAnSVGWithAxesAndNames(t *testing.T) {
	open, closed := stalled(t)
	var svg bytes.Buffer
	if err := load.WriteSVG(&svg, `1000/s & a <stall>`, load.Curve{Name: "open loop", Latency: open.Latency}, load.Curve{Name: "closed loop", Latency: closed.Latency}); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg.String())
	for _, want := range []string{"latency", "percentile of the requests", ">99.9<", "open loop", "closed loop", "1000/s &amp; a &lt;stall&gt;"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("the plot does not say %q", want)
		}
	}
	if name := os.Getenv("PLOT"); name != "" { // to look at it
		if err := os.WriteFile(name, svg.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAPlotOfNothingIsAPlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		res := runner(t, load.Config{Stages: parsed(t, "1/s:1s")}).Run(ctx, void{})
		balanced(t, res)
		var svg bytes.Buffer
		if err := load.WriteSVG(&svg, "nothing", load.Curve{Name: "none", Latency: res.Latency}); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, svg.String())
	})
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") || strings.Contains(svg, "%!") {
		t.Errorf("the plot has no place for something:\n%s", svg)
	}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
