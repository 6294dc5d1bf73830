package load

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Ears listen to many subjects in the order of one connection: an ack that follows the
// copy of a message means something else than one that comes before.
//
// mu guards the fields below it. It is not held while subscribing.
type ears struct {
	conn   *nats.Conn
	heard  chan *nats.Msg
	closed chan struct{}
	began  uint64 // reconnects when it began

	mu      sync.Mutex
	subs    []*nats.Subscription
	follows map[string]bool
}

// Bounds of the ears.
const (
	maxHeard     = 1 << 16
	maxFollowed  = 256 // workers
	flushTimeout = 5 * time.Second
)

func newEars(conn *nats.Conn) *ears {
	return &ears{
		conn: conn, heard: make(chan *nats.Msg, maxHeard), closed: make(chan struct{}),
		follows: make(map[string]bool), began: conn.Stats().Reconnects,
	}
}

// listen subscribes, and returns when the server knows.
func (e *ears) listen(subjects ...string) error {
	before := e.conn.LastError()
	err := errors.Join(e.subscribe(subjects...), e.conn.FlushTimeout(flushTimeout))
	last := e.conn.LastError()
	if err == nil && last != before && errors.Is(last, nats.ErrPermissionViolation) { //nolint:errorlint // whether it is another one
		err = last
	}
	if err != nil {
		e.unsubscribe()
		return fmt.Errorf("cannot listen to %s: %w", strings.Join(subjects, ", "), err)
	}
	return nil
}

func (e *ears) subscribe(subjects ...string) error {
	for _, s := range subjects {
		sub, err := e.conn.ChanSubscribe(s, e.heard)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.subs = append(e.subs, sub)
		e.mu.Unlock()
	}
	return nil
}

// follow listens to the confirmations that come to a worker, too, from now on: those of
// one worker differ in the last token only.
func (e *ears) follow(reply string) {
	inbox := inboxOf(reply)
	e.mu.Lock()
	isNew := inbox != "" && !e.follows[inbox] && len(e.follows) < maxFollowed
	if isNew {
		e.follows[inbox] = true
	}
	e.mu.Unlock()
	if isNew {
		_ = e.subscribe(inbox + "*") // without it its moves count as lost, which is told
	}
}

// followed reports whether subject is of an inbox that is listened to for its worker.
func (e *ears) followed(subject string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.follows[inboxOf(subject)]
}

func inboxOf(reply string) string { return reply[:strings.LastIndexByte(reply, '.')+1] }

// missed counts what came faster than it was taken.
func (e *ears) missed() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.subs {
		if dropped, err := s.Dropped(); err == nil {
			n += dropped
		}
	}
	return n
}

func (e *ears) reconnects() uint64 { return e.conn.Stats().Reconnects - e.began }

// unsubscribe is for when nobody listens any more.
func (e *ears) unsubscribe() {
	e.mu.Lock()
	subs := e.subs
	e.mu.Unlock()
	for _, s := range subs {
		_ = s.Unsubscribe() // an error: the connection is gone, and so is the subscription
	}
}
