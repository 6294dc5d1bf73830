package load

import (
	"strings"
	"time"
	"unicode"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Account counts requests. Sent + Dropped = Scheduled and, once the run has ended,
// OK + Failed + Unfinished = Sent.
type Account struct {
	Scheduled  int64 `json:"scheduled"` // that were due
	Sent       int64 `json:"sent"`
	Dropped    int64 `json:"dropped"` // could not be sent within MaxDelay
	OK         int64 `json:"ok"`
	Failed     int64 `json:"failed"`
	Unfinished int64 `json:"unfinished"` // in flight when the run was ended
}

// Done is how many have been answered, or timed out.
func (a Account) Done() int64 { return a.OK + a.Failed }

// Bounds of what is told apart.
const (
	maxLabels       = 20
	maxLabel        = 200 // bytes
	maxTenantShares = 100
	otherLabel      = "other failures"
)

// A book counts what becomes of the requests of a run.
type book struct {
	stages  []share
	tenants []share // of the first tenants; nil if there is only one

	latency *hdrhistogram.Histogram // of all that are done
	success *hdrhistogram.Histogram // of those that are OK
	lag     *hdrhistogram.Histogram

	window, windowLag *hdrhistogram.Histogram // since the last progress

	failures map[string]int64
	cut      int64 // dropped as the run was ended
	heldBack int64 // had to wait for room in flight
	peak     int   // in flight
}

// A share is the part of a stage or of a tenant.
type share struct {
	Account

	latency *hdrhistogram.Histogram
}

func newBook(s *Schedule) book {
	b := book{
		stages:  make([]share, len(s.stages)),
		latency: newHistogram(fine), success: newHistogram(fine), lag: newHistogram(fine),
		window: newHistogram(fine), windowLag: newHistogram(fine),
		failures: make(map[string]int64),
	}
	if s.mix.n() > 1 {
		b.tenants = make([]share, min(s.mix.n(), maxTenantShares))
	}
	for i := range b.stages {
		b.stages[i].latency = newHistogram(fine)
	}
	for i := range b.tenants {
		b.tenants[i].latency = newHistogram(coarse)
	}
	return b
}

// sum is the account of all stages.
func (b *book) sum() Account {
	var a Account
	for i := range b.stages {
		s := &b.stages[i].Account
		a.Scheduled += s.Scheduled
		a.Sent += s.Sent
		a.Dropped += s.Dropped
		a.OK += s.OK
		a.Failed += s.Failed
		a.Unfinished += s.Unfinished
	}
	return a
}

// shares returns what a request counts for: its stage, and its tenant if that is told
// apart.
func (b *book) shares(stage, tenant int) [2]*share {
	both := [2]*share{&b.stages[stage]}
	if tenant < len(b.tenants) {
		both[1] = &b.tenants[tenant]
	}
	return both
}

func (b *book) drop(a Arrival, cut bool) {
	if cut {
		b.cut++
	}
	for _, s := range b.shares(a.Stage, a.Tenant) {
		if s != nil {
			s.Scheduled++
			s.Dropped++
		}
	}
}

func (b *book) send(a Arrival, lag time.Duration, inFlight int) {
	for _, s := range b.shares(a.Stage, a.Tenant) {
		if s != nil {
			s.Scheduled++
			s.Sent++
		}
	}
	record(b.lag, lag)
	record(b.windowLag, lag)
	b.peak = max(b.peak, inFlight)
}

func (b *book) end(c *Call, latency time.Duration, ok bool, failure string) {
	for _, s := range b.shares(c.stage, c.tenant) {
		switch {
		case s == nil:
			continue
		case ok:
			s.OK++
		default:
			s.Failed++
		}
		record(s.latency, latency)
	}
	record(b.latency, latency)
	record(b.window, latency)
	if ok {
		record(b.success, latency)
		return
	}
	b.fail(failure)
}

func (b *book) abandon(c *Call) {
	for _, s := range b.shares(c.stage, c.tenant) {
		if s != nil {
			s.Unfinished++
		}
	}
}

// fail counts a failure by its name, which a target has chosen.
func (b *book) fail(label string) {
	if len(label) > maxLabel {
		label = label[:maxLabel]
	}
	label = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(label, "?"))
	if _, known := b.failures[label]; !known && len(b.failures) >= maxLabels {
		label = otherLabel
	}
	b.failures[label]++
}
