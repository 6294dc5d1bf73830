package consumer

import (
	"cmp"
	"slices"
	"time"
)

// StuckHandler is a handler whose context has ended and that has not returned. It keeps
// its worker, its lease and its place in the limits of its tenant and downstream.
type StuckHandler struct {
	Tenant     string    `json:"tenant"`
	Downstream string    `json:"downstream"`
	Subject    string    `json:"subject"`
	Sequence   uint64    `json:"sequence"` // in the stream that was published to
	Started    time.Time `json:"started"`
	Since      time.Time `json:"since"` // when its context ended
}

const (
	stuckHandler = 5 * time.Second // how long after the end of its context a handler counts as stuck
	maxStuck     = 100             // how many a snapshot lists: those that are stuck longest
)

// stuckSince returns since when the handler of a running delivery ignores the end of its
// context, the zero time if it does not. It goes by what may be read while it runs.
func (d *delivery) stuckSince(started, now time.Time) time.Time {
	ended, _ := d.run().ended()
	if ended.IsZero() && d.route.Timeout > 0 {
		ended = started.Add(d.route.Timeout)
	}
	if ended.IsZero() || now.Sub(ended) <= stuckHandler {
		return time.Time{}
	}
	return ended
}

// stuckList keeps those that are stuck longest.
type stuckList []StuckHandler

func (l *stuckList) add(d *delivery, started, since time.Time) {
	if len(*l) >= 2*maxStuck {
		l.cut()
	}
	*l = append(*l, StuckHandler{
		Tenant: d.msg.Tenant, Downstream: d.route.Downstream, Subject: d.msg.Subject, Sequence: d.msg.Sequence,
		Started: started, Since: since,
	})
}

func (l *stuckList) cut() {
	slices.SortFunc(*l, func(a, b StuckHandler) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Sequence, b.Sequence))
	})
	*l = (*l)[:min(len(*l), maxStuck)]
}
