package fakedownstream

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is what is wrong with a Downstream.
type Kind string

// The kinds of faults.
const (
	None     Kind = "none"
	Slow     Kind = "slow"     // service times are longer by a factor
	Error    Kind = "error"    // 500
	Dead     Kind = "dead"     // connections close without an answer
	Overload Kind = "overload" // 429 with Retry-After
	Hang     Kind = "hang"     // no answer
)

var kinds = []Kind{None, Slow, Error, Dead, Overload, Hang}

// Fault is what is wrong with a Downstream, and for how long. The zero Fault is none.
type Fault struct {
	Kind   Kind
	Factor float64       // of Slow: service times are multiplied with it; 0.001 to 1000, must be 0 for all others
	For    time.Duration // how long it lasts; 0: until the next SetFault
}

const minFactor, maxFactor = 0.001, 1000

// check returns f with its kind spelled out, and all that is wrong with it.
func (f Fault) check() (Fault, error) {
	if f.Kind == "" {
		f.Kind = None
	}
	var err error
	if !slices.Contains(kinds, f.Kind) {
		err = fmt.Errorf("Fault.Kind is %q: must be one of %s", f.Kind, kindList())
	}
	if f.Kind == Slow {
		err = errors.Join(err, within("Fault.Factor", f.Factor, minFactor, maxFactor))
	} else if f.Factor != 0 {
		err = errors.Join(err, fmt.Errorf("Fault.Factor is %v: must be 0, it is for %q only", f.Factor, Slow))
	}
	return f, errors.Join(err, within("Fault.For", f.For, 0, maxTime))
}

// String is like "slow ×10".
func (f Fault) String() string {
	switch f.Kind {
	case "":
		return string(None)
	case Slow:
		return fmt.Sprintf("%s ×%g", f.Kind, f.Factor)
	}
	return string(f.Kind)
}

// parseFault reads the parameters kind, factor and for of a URL or a form.
func parseFault(v url.Values) (Fault, error) {
	f := Fault{Kind: Kind(v.Get("kind"))}
	var err error
	for name := range v {
		if name != "kind" && name != "factor" && name != "for" {
			err = errors.Join(err, fmt.Errorf("parameter %q is unknown: there are kind, factor and for", name))
		}
	}
	if f.Kind == "" {
		err = errors.Join(err, fmt.Errorf("kind is missing: must be one of %s", kindList()))
	}
	if s := v.Get("factor"); s != "" {
		n, e := strconv.ParseFloat(s, 64)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("factor is %q: must be a number like 10", s))
		}
		f.Factor = n
	}
	if s := v.Get("for"); s != "" {
		d, e := time.ParseDuration(s)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("for is %q: must be a duration like 30s", s))
		}
		f.For = d
	}
	return f, err
}

func kindList() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}
