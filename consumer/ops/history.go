package ops

import (
	"math"
	"strconv"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// How much of the past a page has at once.
const (
	historyFor    = 15 * time.Minute
	historyEvery  = time.Second
	historyPoints = int(historyFor / historyEvery)
)

// point is what the charts show of one moment. A value that is not known is NaN.
type point struct {
	at          int64 // Unix milliseconds
	values      [seriesCount]float64
	downstreams []downstreamPoint // in the order of their names
}

// The series of a point. Rates are messages a second since the point before.
const (
	seriesPulled   = iota // received on the main lane
	seriesAcked           // handled
	seriesFailed          // to be tried again, or dead-lettered
	seriesSpilled         // moved to an overflow
	seriesRefused         // delayed or dropped at a watermark
	seriesWaitP50         // milliseconds until a handler started
	seriesWaitP99         //
	seriesQueued          // messages
	seriesOverflow        //
	seriesBacklog         //
	seriesInFlight        //
	seriesCount
)

var seriesNames = [seriesCount]string{
	"pulled", "acked", "failed", "spilled", "refused", "wait_p50", "wait_p99", "queued", "overflow", "backlog", "in_flight",
}

// downstreamPoint is the part of a point that is about one downstream.
type downstreamPoint struct {
	name            string
	limit, inFlight float64
	acked           float64 // a second
	open            float64 // 1 while its breaker is not closed
}

// history is the last points, oldest first. It is a ring that is never grown.
type history struct {
	points []point
	next   int // where the next goes, once it is full
}

// add takes in a point, if it is later than the last.
func (h *history) add(p point) {
	if n := len(h.points); n > 0 && p.at <= h.points[(h.next+n-1)%n].at {
		return
	}
	if len(h.points) < historyPoints {
		h.points = append(h.points, p)
		return
	}
	h.points[h.next] = p
	h.next = (h.next + 1) % historyPoints
}

// since returns the points later than a time in Unix milliseconds, oldest first.
func (h *history) since(at int64) []point {
	var later []point
	for i := range h.points {
		if p := h.points[(h.next+i)%len(h.points)]; p.at > at {
			later = append(later, p)
		}
	}
	return later
}

// charts are points by column, as a page draws them.
type charts struct {
	At          []int64                      `json:"at"` // Unix milliseconds
	Series      map[string]column            `json:"series"`
	Downstreams map[string]map[string]column `json:"downstreams"`
}

func chartsOf(points []point) charts {
	c := charts{
		At:          make([]int64, len(points)),
		Series:      make(map[string]column, seriesCount),
		Downstreams: make(map[string]map[string]column),
	}
	for s, name := range seriesNames {
		col := newColumn(len(points))
		for i := range points {
			col[i] = points[i].values[s]
		}
		c.Series[name] = col
	}
	for i, p := range points {
		c.At[i] = p.at
		for _, d := range p.downstreams {
			c.downstream(d.name).set(i, d)
		}
	}
	return c
}

// downstream returns the columns of a downstream. It may be new in the midst of the points.
func (c charts) downstream(name string) downstreamColumns {
	cols, ok := c.Downstreams[name]
	if !ok {
		cols = map[string]column{}
		for _, series := range []string{"limit", "in_flight", "acked", "open"} {
			cols[series] = newColumn(len(c.At))
		}
		c.Downstreams[name] = cols
	}
	return cols
}

type downstreamColumns map[string]column

func (cols downstreamColumns) set(i int, d downstreamPoint) {
	cols["limit"][i], cols["in_flight"][i], cols["acked"][i], cols["open"][i] = d.limit, d.inFlight, d.acked, d.open
}

// column is a series of values in JSON: four digits of each, null for one that is not known.
type column []float64

func newColumn(n int) column {
	c := make(column, n)
	for i := range c {
		c[i] = math.NaN()
	}
	return c
}

func (c column) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 6*len(c)+2)
	b = append(b, '[')
	for i, v := range c {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, v, 'g', 4, 64)
		}
	}
	return append(b, ']'), nil
}

// pointOf is what the charts show of s.
func pointOf(s *consumer.Snapshot, r rates, t totals) point {
	p := point{at: s.At.UnixMilli(), downstreams: make([]downstreamPoint, 0, len(s.Downstreams))}
	p.values = [seriesCount]float64{
		seriesPulled: r.Pulled, seriesAcked: r.Acked, seriesFailed: r.Failed, seriesSpilled: r.Spilled, seriesRefused: r.Refused,
		seriesWaitP50: milliseconds(r.second, 0.5), seriesWaitP99: milliseconds(r.second, 0.99),
		seriesQueued: float64(t.Queued), seriesOverflow: float64(t.Overflow), seriesBacklog: float64(s.Backlog), seriesInFlight: float64(s.InFlight),
	}
	for _, d := range s.Downstreams {
		if d.Downstream == "" {
			continue // of messages without a route
		}
		dp := downstreamPoint{name: d.Downstream, limit: math.NaN(), inFlight: float64(d.InFlight), acked: r.Downstreams[d.Downstream].Acked}
		if d.Limit != nil {
			dp.limit = float64(d.Limit.Limit)
		}
		if d.Breaker != nil && d.Breaker.State != consumer.BreakerClosed {
			dp.open = 1
		}
		p.downstreams = append(p.downstreams, dp)
	}
	return p
}

// milliseconds is a quantile, NaN of nothing.
func milliseconds(c counts, q float64) float64 {
	if c.total() == 0 {
		return math.NaN()
	}
	return float64(c.quantile(q)) / float64(time.Millisecond)
}
