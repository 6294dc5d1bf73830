package scenario

import (
	"fmt"
	"strings"
	"time"
)

// Verdict is whether a bound holds.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Short   Verdict = "short"   // the bound does not hold
	Skipped Verdict = "skipped" // not run here: see Row.Note
)

// Row is one claim, and what became of it.
type Row struct {
	Scenario string  `json:"scenario"`
	Claim    string  `json:"claim"`
	Plain    Figure  `json:"plain"`           // of the plain consumer, if it can be compared
	Ours     Figure  `json:"ours"`            // of Spillway
	Ratio    float64 `json:"ratio,omitempty"` // of ours by plain; the median of all rounds, where there are several
	Bound    string  `json:"bound"`
	Verdict  Verdict `json:"verdict"`
	Exact    bool    `json:"exact"` // it does not depend on the speed of the machine
	Note     string  `json:"note,omitempty"`
}

func judge(holds bool) Verdict {
	if holds {
		return OK
	}
	return Short
}

// exact is a row of what must be so on any machine: a number of things that is known.
func exact[T int | int64 | uint64](claim string, ours, want T) Row {
	return Row{
		Claim: claim, Ours: ofCount(ours), Exact: true,
		Bound: "= " + grouped(int64(want)), Verdict: judge(ours == want),
	}
}

// atMost is a row of something that must not exceed a bound.
func atMost(claim string, ours, bound Figure) Row {
	return Row{Claim: claim, Ours: ours, Bound: "≤ " + bound.text(), Verdict: judge(ours.Value <= bound.Value)}
}

// atLeast is a row of something that must reach a bound.
func atLeast(claim string, ours, bound Figure) Row {
	return Row{Claim: claim, Ours: ours, Bound: "≥ " + bound.text(), Verdict: judge(ours.Value >= bound.Value)}
}

// quietBound is what a quiet tenant's p99 may be beside others: three times what it is
// alone, and one run of a handler that is in its way.
func quietBound(claim string, p99, alone, service time.Duration) Row {
	bound := 3*alone + service
	return Row{
		Claim: claim, Ours: ofDuration(p99), Verdict: judge(p99 <= bound),
		Bound: fmt.Sprintf("≤ 3 × alone (%s) + %v = %s", brief(alone), service, brief(bound)),
	}
}

// beside puts the plain consumer's figure into the row.
func (r Row) beside(plain Figure) Row {
	r.Plain = plain
	if r.Ratio == 0 && plain.Value > 0 {
		r.Ratio = r.Ours.Value / plain.Value
	}
	return r
}

// must says that the row holds on any machine.
func (r Row) must() Row {
	r.Exact = true
	return r
}

// noting adds a note.
func (r Row) noting(format string, args ...any) Row {
	r.Note = strings.Trim(r.Note+"; "+fmt.Sprintf(format, args...), "; ")
	return r
}
