package fakedownstream

import "time"

// Stats is what a Downstream has done until now. At every moment
//
//	Offered = Served + Abandoned + Refused + Failed + Inside
type Stats struct {
	Offered   uint64 `json:"offered"`   // calls that came
	Served    uint64 `json:"served"`    // calls that were answered with 200
	Good      uint64 `json:"good"`      // of these: within Config.Deadline
	Abandoned uint64 `json:"abandoned"` // calls that were served for nobody
	Refused   uint64 `json:"refused"`   // calls that were answered with 429
	Failed    uint64 `json:"failed"`    // calls that were answered with 500 or not at all

	Inside  int    `json:"inside"`  // calls that it holds: waiting, served or hanging
	Waiting int    `json:"waiting"` // of these: for a worker
	Peak    int    `json:"peak"`    // most that it held at once, hanging ones apart
	Fault   string `json:"fault"`   // what is wrong at present, like "slow ×10"

	hanging int
}

// Stats returns what it has done until now. Differences of two give rates: goodput is the
// growth of Good.
func (d *Downstream) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Inside, s.Waiting = d.inside()+s.hanging, len(d.waiting)
	s.Fault = d.faultAt(time.Now()).String()
	return s
}
