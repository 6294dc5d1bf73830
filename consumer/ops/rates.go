package ops

import (
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// rates say how fast things go: in messages a second, between two samples.
type rates struct {
	Pulled  float64 `json:"pulled"`  // received on the main lane
	Acked   float64 `json:"acked"`   // handled
	Failed  float64 `json:"failed"`  // to be tried again, or dead-lettered
	Spilled float64 `json:"spilled"` // moved to an overflow
	Refused float64 `json:"refused"` // delayed or dropped at a watermark

	// Lanes is what each kind of lane received.
	Lanes map[consumer.Lane]float64 `json:"lanes"`
	// Downstreams is what became of the messages of each.
	Downstreams map[string]downstreamRates `json:"downstreams"`

	// The times that messages waited for a handler in the last ten seconds, and that
	// handlers took; 0: there was none.
	WaitP50 time.Duration `json:"wait_p50_ns"`
	WaitP99 time.Duration `json:"wait_p99_ns"`
	TookP50 time.Duration `json:"took_p50_ns"`
	TookP99 time.Duration `json:"took_p99_ns"`

	second counts // waits of the last second
}

type downstreamRates struct {
	Acked     float64       `json:"acked"`
	Failed    float64       `json:"failed"`
	Overloads float64       `json:"overloads"` // answers; their messages stay where they are
	TookP50   time.Duration `json:"took_p50_ns"`
	TookP99   time.Duration `json:"took_p99_ns"`
}

// recent is over how many samples times are summed up for their percentiles.
const recent = 10

// meter makes rates of samples. It belongs to who samples.
type meter struct {
	before    consumer.Snapshot // without its tenants
	waited    counts            // as of then
	waitedAgo ring              // as of the last samples
	tookAgo   map[string]*ring  // by downstream
}

// measure takes in a sample and returns the rates since the one before, all of them 0 the
// first time.
func (m *meter) measure(s *consumer.Snapshot, w *waits) rates {
	r := rates{
		Lanes:       make(map[consumer.Lane]float64),
		Downstreams: make(map[string]downstreamRates, len(s.Downstreams)),
	}
	if elapsed := s.At.Sub(m.before.At).Seconds(); !m.before.At.IsZero() && elapsed > 0 {
		m.lanes(&r, s, elapsed)
		m.downstreams(&r, s, elapsed)
	}
	m.times(&r, w)
	m.before = *s
	m.before.Tenants = nil // not kept for longer than they are shown
	return r
}

// lanes counts what came. A lane that was not there before began at 0.
func (m *meter) lanes(r *rates, s *consumer.Snapshot, elapsed float64) {
	before := make(map[string]uint64, len(m.before.Lanes))
	for _, l := range m.before.Lanes {
		before[l.Consumer] = l.Pulled
	}
	for _, l := range s.Lanes {
		r.Lanes[l.Lane] += risen(before[l.Consumer], l.Pulled) / elapsed
	}
	r.Pulled = r.Lanes[consumer.LaneMain]
}

func (m *meter) downstreams(r *rates, s *consumer.Snapshot, elapsed float64) {
	before := make(map[string]consumer.DownstreamState, len(m.before.Downstreams))
	for _, d := range m.before.Downstreams {
		before[d.Downstream] = d
	}
	for _, d := range s.Downstreams {
		b := before[d.Downstream]
		of := func(outcomes ...consumer.Outcome) (sum float64) {
			for _, o := range outcomes {
				sum += risen(b.Settled[o], d.Settled[o])
			}
			return sum / elapsed
		}
		dr := downstreamRates{
			Acked:     of(consumer.OutcomeAck),
			Failed:    of(consumer.OutcomeRetry, consumer.OutcomeDeadLetter, consumer.OutcomeSuspect),
			Overloads: risen(b.Overloads, d.Overloads) / elapsed,
		}
		r.Downstreams[d.Downstream] = dr
		r.Acked += dr.Acked
		r.Failed += dr.Failed
		r.Spilled += of(consumer.OutcomeSpill)
		r.Refused += of(consumer.OutcomeDelay, consumer.OutcomeDrop)
	}
}

// times reads the percentiles of the last seconds.
func (m *meter) times(r *rates, w *waits) {
	waited := w.all()
	r.second = waited.since(m.waited)
	m.waited = waited
	lately := m.waitedAgo.push(waited)
	r.WaitP50, r.WaitP99 = lately.quantile(0.5), lately.quantile(0.99)

	var all counts
	for name, took := range w.tookOf() {
		if m.tookAgo == nil {
			m.tookAgo = make(map[string]*ring)
		}
		ago := m.tookAgo[name]
		if ago == nil {
			ago = new(ring)
			m.tookAgo[name] = ago
		}
		lately := ago.push(took)
		all.add(lately)
		d := r.Downstreams[name]
		d.TookP50, d.TookP99 = lately.quantile(0.5), lately.quantile(0.99)
		r.Downstreams[name] = d
	}
	r.TookP50, r.TookP99 = all.quantile(0.5), all.quantile(0.99)
}

// ring is what counts were at the last samples.
type ring struct {
	at   [recent]counts
	next int
}

// push takes in what they are now, and returns what was counted since the oldest sample.
func (g *ring) push(now counts) counts {
	oldest := g.at[g.next]
	g.at[g.next] = now
	g.next = (g.next + 1) % recent
	return now.since(oldest)
}

// risen is by how much a counter rose. One that fell began anew.
func risen(before, now uint64) float64 {
	if now < before {
		return float64(now)
	}
	return float64(now - before)
}
