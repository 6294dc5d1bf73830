package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// The bounds of the move.
const (
	moveWindow      = 1024    // copies in flight
	moveWindowBytes = 8 << 20 // and their bytes; one copy may always fly
	moveBacklog     = 512     // copies that wait for the window before the main lane stops
	moveTimeout     = 5 * time.Second
	moveAgain       = 250 * time.Millisecond // before a copy is published again after an answer that decides nothing
)

// move is a message on its way to another subject. Once the server has confirmed
// the copy, the original is acknowledged; until then it is held, lease and all.
type move struct {
	d       *delivery
	subject string
	header  nats.Header
	data    []byte
	size    int

	// done is called once, with nil when the copy is stored and with the server's
	// refusal when it certainly is not. It must not block.
	done func(err error)

	token  uint64    // names the answer
	due    time.Time // when to publish it again, if there is no answer by then
	stored uint64    // the copy's sequence, once it is stored
}

// mover publishes copies and waits for their confirmation: the one mechanism behind
// retry, suspect and dead letter.
//
// Only an answer that says so decides. After a timeout, a lost connection or an
// answer such as "in process" the copy is published again under the same
// Nats-Msg-Id, so the server keeps one; and the original's lease is kept all the
// while.
//
// One goroutine publishes, so that copies are stored in the order in which they were
// submitted, as far as none has to be published again.
//
// mu guards the fields below it. It is not held while publishing or calling done.
type mover struct {
	nc    *nats.Conn
	inbox string // ends in a dot
	in    chan *nats.Msg
	sub   *nats.Subscription
	wake  chan struct{}

	mu       sync.Mutex
	waiting  []*move // first in, first out
	inFlight map[uint64]*move
	bytes    int
	tokens   uint64
	full     bool // too much waits, and has not sunk enough since
	closed   bool
	idle     chan struct{} // closed when nothing is waiting or in flight; nil: nobody asks
	relief   func()        // called when congestion ends; must not block
}

func newMover(nc *nats.Conn, relief func()) *mover {
	return &mover{
		nc:       nc,
		inbox:    nc.NewInbox() + ".",
		in:       make(chan *nats.Msg, 2*moveWindow),
		wake:     make(chan struct{}, 1),
		inFlight: make(map[uint64]*move),
		relief:   relief,
	}
}

// submit takes m over. It never blocks: what does not fit into the window waits,
// and everything that can wait is held and so counted by a lane's budget.
func (mv *mover) submit(m *move) {
	mv.mu.Lock()
	if mv.closed {
		mv.mu.Unlock()
		m.done(errMoverClosed)
		return
	}
	mv.waiting = append(mv.waiting, m)
	first := len(mv.waiting) == 1
	mv.full = mv.full || len(mv.waiting) >= moveBacklog
	mv.mu.Unlock()
	if first {
		mv.rouse()
	}
}

func (mv *mover) rouse() {
	select {
	case mv.wake <- struct{}{}:
	default:
	}
}

var errMoverClosed = errors.New("consumer: drained before the copy could be published")

// fits reports whether the window takes m. It requires that mu is held.
func (mv *mover) fits(m *move) bool {
	return len(mv.inFlight) == 0 || len(mv.inFlight) < moveWindow && mv.bytes+m.size <= moveWindowBytes
}

// congested reports whether too many moves wait for the window: the main lane stops then.
func (mv *mover) congested() bool {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	return mv.full
}

// load returns how many copies are not confirmed yet.
func (mv *mover) load() int {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	return len(mv.waiting) + len(mv.inFlight)
}

func (mv *mover) publish(m *move) {
	err := mv.nc.PublishMsg(&nats.Msg{Subject: m.subject, Reply: mv.inbox + strconv.FormatUint(m.token, 36), Header: m.header, Data: m.data})
	if err == nil {
		return
	}
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, nats.ErrBadHeaderMsg) {
		mv.decide(m.token, 0, err) // it never left
		return
	}
	mv.postpone(m.token) // closed, or the reconnect buffer is full
}

// open subscribes to the answers. It must be called before anything is submitted.
func (mv *mover) open() (err error) {
	if mv.sub, err = mv.nc.ChanSubscribe(mv.inbox+"*", mv.in); err != nil {
		return fmt.Errorf("consumer: subscribe to publish acks: %w", err)
	}
	return nil
}

// close ends the subscription, if there is one.
func (mv *mover) close() {
	if mv.sub != nil {
		_ = mv.sub.Unsubscribe()
	}
}

// run reads answers until ctx is done.
func (mv *mover) run(ctx context.Context) {
	defer mv.close()
	ticker := time.NewTicker(moveAgain)
	defer ticker.Stop()
	for {
		select {
		case msg := <-mv.in:
			mv.answer(msg)
			for range len(mv.in) {
				mv.answer(<-mv.in)
			}
			mv.fill()
		case now := <-ticker.C:
			mv.again(now)
			mv.fill() // what can never be published made room
		case <-mv.wake:
			mv.fill()
		case <-ctx.Done():
			return
		}
	}
}

// answer takes the server's answer to one copy.
func (mv *mover) answer(msg *nats.Msg) {
	token, err := strconv.ParseUint(strings.TrimPrefix(msg.Subject, mv.inbox), 36, 64)
	if err != nil {
		return
	}
	stored, err := readPubAck(msg)
	switch {
	case stored > 0 || err != nil:
		mv.decide(token, stored, err)
	default:
		mv.postpone(token)
	}
}

// decide ends the move of token.
func (mv *mover) decide(token, stored uint64, err error) {
	mv.mu.Lock()
	m := mv.inFlight[token]
	if m != nil {
		delete(mv.inFlight, token)
		mv.bytes -= m.size
	}
	mv.mu.Unlock()
	if m != nil { // else it is a second answer, to a copy that was published again
		m.stored = stored
		m.done(err)
	}
}

// postpone publishes the copy of token again soon.
func (mv *mover) postpone(token uint64) {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	if m := mv.inFlight[token]; m != nil {
		m.due = time.Now().Add(moveAgain)
	}
}

// again publishes what got no answer in time.
func (mv *mover) again(now time.Time) {
	if !mv.nc.IsConnected() {
		return
	}
	mv.mu.Lock()
	var due []*move
	for _, m := range mv.inFlight {
		if !now.Before(m.due) {
			m.due = now.Add(moveTimeout)
			due = append(due, m)
		}
	}
	mv.mu.Unlock()
	for _, m := range due {
		mv.publish(m)
	}
}

// fill publishes what waits for as long as the window has room.
func (mv *mover) fill() {
	for batch := range mv.batches {
		for _, m := range batch {
			mv.publish(m)
		}
	}
}

// batches yields the moves that the window takes, some at a time.
func (mv *mover) batches(yield func([]*move) bool) {
	var room [64]*move
	for {
		batch, relieved := mv.next(room[:0])
		if relieved {
			mv.relief()
		}
		if len(batch) == 0 || !yield(batch) {
			return
		}
	}
}

// next puts what the window takes into flight, as far as batch has room.
func (mv *mover) next(batch []*move) (_ []*move, relieved bool) {
	due := time.Now().Add(moveTimeout)
	mv.mu.Lock()
	defer mv.mu.Unlock()
	n := 0
	for ; n < min(len(mv.waiting), cap(batch)) && mv.fits(mv.waiting[n]); n++ {
		m := mv.waiting[n]
		mv.tokens++
		m.token, m.due = mv.tokens, due
		mv.inFlight[m.token] = m
		mv.bytes += m.size
		batch = append(batch, m)
	}
	clear(mv.waiting[:n])
	mv.waiting = mv.waiting[n:]
	if mv.full && len(mv.waiting) <= moveBacklog/4 {
		mv.full, relieved = false, true
	}
	mv.signalIdle()
	return batch, relieved
}

// signalIdle tells whoever drains that all is confirmed. It requires that mu is held.
func (mv *mover) signalIdle() {
	if mv.idle != nil && len(mv.inFlight) == 0 && len(mv.waiting) == 0 {
		close(mv.idle)
		mv.idle = nil
	}
}

// drain waits until every copy is confirmed or ctx ends. What was not published by
// then is refused; what was published and has no answer stays undecided: the
// original is not settled, and when it is delivered again and moved again the server
// sees the same Nats-Msg-Id. Submitting is refused from then on.
func (mv *mover) drain(ctx context.Context) {
	mv.mu.Lock()
	idle := make(chan struct{})
	mv.idle = idle
	mv.signalIdle()
	mv.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	mv.mu.Lock()
	mv.closed = true
	refused := mv.waiting
	mv.waiting = nil
	mv.mu.Unlock()
	for _, m := range refused {
		m.done(errMoverClosed)
	}
}

// undecided returns the moves that have no answer. It is for the end of a drain.
func (mv *mover) undecided() []*delivery {
	mv.mu.Lock()
	defer mv.mu.Unlock()
	var ds []*delivery
	for _, m := range mv.inFlight {
		ds = append(ds, m.d)
	}
	clear(mv.inFlight)
	return ds
}

// errCodeInProcess is the server's error code of a message whose id it is storing
// at that moment: it will be stored, or not.
const errCodeInProcess = 10158

// readPubAck reads the answer to a publication: the sequence at which it is stored, why it
// was refused (err), or neither.
func readPubAck(msg *nats.Msg) (stored uint64, err error) {
	if len(msg.Data) == 0 {
		if status := msg.Header.Get("Status"); status == "503" {
			return 0, errors.New("no stream takes the subject of the copy")
		}
		return 0, nil
	}
	if seq, ok := storedAt(msg.Data); ok {
		return seq, nil
	}
	var ack struct {
		Error *struct {
			Code        int    `json:"code"`
			ErrCode     int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
		Stream   string `json:"stream"`
		Sequence uint64 `json:"seq"`
	}
	if json.Unmarshal(msg.Data, &ack) != nil {
		return 0, nil //nolint:nilerr // an answer that cannot be read decides nothing
	}
	if ack.Error != nil {
		if ack.Error.ErrCode == errCodeInProcess {
			return 0, nil
		}
		return 0, fmt.Errorf("%s (code %d)", ack.Error.Description, ack.Error.ErrCode)
	}
	if ack.Stream == "" {
		return 0, nil
	}
	return ack.Sequence, nil
}

// storedAt reads the sequence from an answer that tells of no error, without the cost of
// reading JSON for each copy.
func storedAt(data []byte) (seq uint64, ok bool) {
	if bytes.Contains(data, []byte(`"error"`)) || !bytes.Contains(data, []byte(`"stream":"`)) {
		return 0, false
	}
	_, rest, found := bytes.Cut(data, []byte(`"seq":`))
	if !found {
		return 0, false
	}
	for i, c := range rest {
		if c < '0' || c > '9' {
			return seq, i > 0
		}
		seq = seq*10 + uint64(c-'0')
	}
	return 0, false
}
