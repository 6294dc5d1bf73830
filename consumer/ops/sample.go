package ops

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// sampler looks at the worker once a second and keeps what it saw: the last frame for those
// who look now, and points for who looks later. The work of a look is done once, however
// many pages are open.
//
// The consumer's own tick drives it, so that it ends with the consumer and needs no
// goroutine. Before and after that, pages do: who sees no news for a while takes a sample.
type sampler struct {
	worker  Worker
	waits   *waits
	control bool   // who has the token may change tenants
	process string // tells a page that it talks to another process than before

	busy  atomic.Bool // somebody takes a sample, and owns what follows
	meter meter
	moved time.Time // when the window of waits last moved on
	seq   uint64

	mu      sync.Mutex // guards the rest, and is held for a copy of it
	latest  *frame     // nil: there was no sample yet
	news    chan struct{}
	history history
}

func newSampler(w Worker, control bool) *sampler {
	return &sampler{worker: w, control: control, waits: newWaits(), process: rand.Text()[:8], news: make(chan struct{})}
}

// observer is what the consumer tells.
func (s *sampler) observer() consumer.Observer {
	return consumer.Observer{
		Handled: func(e consumer.Handled) { s.waits.handled(&e) },
		Tick:    s.sample,
	}
}

// frame is what one look saw. It does not change.
type frame struct {
	seq    uint64
	at     time.Time
	point  point
	state  consumer.Snapshot
	totals totals
	head   json.RawMessage // what is the same for all

	mu    sync.Mutex // guards views, and is held for a look into it
	views map[view]func() []byte
}

// head is the part of an event that is the same for all, by its JSON names.
type head struct {
	Process string   `json:"process"` // changes when the worker was restarted
	At      int64    `json:"at"`      // Unix milliseconds, by the worker's clock
	State   headless `json:"state"`   // as of /api/v1/state, without the tenants
	Totals  totals   `json:"totals"`
	Rates   rates    `json:"rates"`
	Charts  charts   `json:"charts"`  // the newest point
	Control bool     `json:"control"` // who has the token may change tenants
}

// headless is a Snapshot without the tenants, of which there can be thousands.
type headless struct {
	consumer.Snapshot
	Tenants struct{} `json:"tenants,omitzero"`
}

// sample looks at the worker, unless somebody does already.
func (s *sampler) sample(now time.Time) {
	if !s.busy.CompareAndSwap(false, true) {
		return
	}
	defer s.busy.Store(false)
	if now.Sub(s.moved) >= waitHalf {
		s.waits.moveOn()
		s.moved = now
	}
	state := s.worker.Snapshot()
	s.seq++
	f := &frame{seq: s.seq, at: now, state: state, totals: totalsOf(state.Tenants), views: make(map[view]func() []byte)}
	r := s.meter.measure(&state, s.waits)
	f.point = pointOf(&state, r, f.totals)
	head, err := json.Marshal(head{
		Process: s.process, At: state.At.UnixMilli(), State: headless{Snapshot: state}, Totals: f.totals, Rates: r,
		Charts: chartsOf([]point{f.point}), Control: s.control,
	})
	if err != nil {
		head = nil // a page says that it has no news
	}
	f.head = head
	s.publish(f)
}

func (s *sampler) publish(f *frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = f
	s.history.add(f.point)
	close(s.news)
	s.news = make(chan struct{})
}

// now returns the latest frame, if there is one, and a channel that is closed when there is
// a later one.
func (s *sampler) now() (*frame, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest, s.news
}

// past returns the points of the history that are later than a time.
func (s *sampler) past(at int64) []point {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.history.since(at)
}

// event is the data of a state event for a view. Pages with the same view share it; nil: it
// cannot be encoded.
func (s *sampler) event(f *frame, v view) []byte {
	f.mu.Lock()
	make, ok := f.views[v]
	if !ok {
		make = sync.OnceValue(func() []byte { return f.render(v, s.waits) })
		f.views[v] = make
	}
	f.mu.Unlock()
	return make()
}

func (f *frame) render(v view, w *waits) []byte {
	if f.head == nil {
		return nil
	}
	tenants, err := json.Marshal(f.rows(v, w))
	if err != nil {
		return nil
	}
	return fmt.Appendf(f.head[:len(f.head)-1:len(f.head)-1], `,"tenants":%s}`, tenants)
}
