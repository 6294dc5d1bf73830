package consumer

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How often the keeper looks.
const (
	surveyEvery = 30 * time.Second
	repairMin   = 200 * time.Millisecond
	repairMax   = 5 * time.Second
)

// keeper mends lanes whose consumer or stream is gone, and looks at all of them now
// and then: how much is unacknowledged in all processes, up to where everything is
// done, and whether somebody changed a consumer by hand. One survey of a few
// requests each half minute is what a dashboard asks for in a second.
type keeper struct {
	c       *Consumer
	repairs chan *lane
	looks   chan struct{} // one place: a survey is wanted now

	mu       sync.Mutex
	ackFloor uint64               // all of the stream up to this is done, as last seen
	known    bool                 // ackFloor was seen
	created  map[string]time.Time // when each stream was created
	trouble  map[Lane]error
}

func newKeeper(c *Consumer) *keeper {
	k := &keeper{
		c:       c,
		repairs: make(chan *lane, 8+maxOverflowLanes),
		looks:   make(chan struct{}, 1),
		created: make(map[string]time.Time),
		trouble: make(map[Lane]error),
	}
	c.leases.reborn = k.lookSoon
	return k
}

// lookSoon asks for a survey out of turn. It never blocks.
func (k *keeper) lookSoon() {
	select {
	case k.looks <- struct{}{}:
	default:
	}
}

// repair asks for a lane to be mended. Each lane asks once until it is.
func (k *keeper) repair(l *lane, reason string) {
	k.c.log.Warn("a lane lost its consumer; looking", "lane", l.kind, "stream", l.stream, "consumer", l.consumer, "reason", reason)
	k.equip(l)
}

// equip asks for a lane to be given its consumer.
func (k *keeper) equip(l *lane) { k.repairs <- l } // there are more places than lanes

// patient is a lane that is being mended.
type patient struct {
	next    time.Time // when to look again
	backoff time.Duration
	made    time.Time // when the consumer that it lost was created
}

var errClosed = errors.New("consumer: the connection to NATS was closed")

// run works until ctx is done. It returns the error of a lane that cannot ever work.
func (k *keeper) run(ctx context.Context) error {
	closed, connected := k.c.nc.StatusChanged(nats.CLOSED), k.c.nc.StatusChanged(nats.CONNECTED)
	defer k.c.nc.RemoveStatusListener(closed)
	defer k.c.nc.RemoveStatusListener(connected)
	if k.c.nc.IsClosed() {
		return errClosed
	}
	patients := make(map[*lane]*patient)
	survey := time.NewTimer(k.interval())
	defer survey.Stop()
	visit := time.NewTimer(surveyEvery)
	defer visit.Stop()
	spills := time.NewTicker(spillLookSoon)
	defer spills.Stop()
	looked := time.Now()
	for {
		select {
		case l := <-k.repairs:
			patients[l] = &patient{next: time.Now().Add(patience(l)), backoff: repairMin, made: k.madeAt(l)}
		case now := <-visit.C:
			if err := k.visit(ctx, patients, now); err != nil {
				return err
			}
		case <-survey.C:
			k.survey(ctx, patients)
			survey.Reset(k.interval())
		case now := <-spills.C:
			if k.c.spillway.due(now.Sub(looked)) {
				k.surveySpills(ctx, now)
				looked = now
			}
		case <-k.looks:
			k.survey(ctx, patients)
		case <-connected:
			for _, p := range patients { // whatever they had, it may have been the outage
				p.next, p.backoff = time.Now().Add(rand.N(repairMin)), repairMin
			}
		case <-closed:
			return errClosed
		case <-ctx.Done():
			return nil
		}
		visit.Reset(nextVisit(patients, time.Now()))
	}
}

func nextVisit(patients map[*lane]*patient, now time.Time) time.Duration {
	wait := surveyEvery
	for _, p := range patients {
		wait = min(wait, p.next.Sub(now))
	}
	return max(wait, time.Millisecond)
}

// visit looks at the lanes whose time has come, and lets go on those that can.
func (k *keeper) visit(ctx context.Context, patients map[*lane]*patient, now time.Time) error {
	for l, p := range patients {
		if now.Before(p.next) {
			continue
		}
		if !k.c.nc.IsConnected() {
			p.next = now.Add(repairMax)
			continue
		}
		err := k.look(ctx, l)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // we were told to stop: what failed does not matter
		}
		if k.c.nc.IsConnected() || !unanswered(err) {
			k.note(l.kind, err)
		}
		if l.flow != nil {
			k.c.spillway.bar(l.flow, errors.Is(err, errIncompatible))
		}
		switch {
		case err == nil:
			k.c.log.Info("the lane goes on", "lane", l.kind, "stream", l.stream, "consumer", l.consumer)
			delete(patients, l)
			l.resume(k.madeAt(l).Equal(p.made))
			select {
			case l.repaired <- struct{}{}:
			default: // it has ended, and will look when it runs again
			}
			continue
		case errors.Is(err, errIncompatible) && l.flow == nil:
			return err
		}
		k.c.logs.repair.warn("a lane cannot go on", "lane", l.kind, "error", err)
		p.backoff = min(2*p.backoff, repairMax)
		p.next = time.Now().Add(p.backoff/2 + rand.N(p.backoff))
	}
	return nil
}

// interval spreads the surveys of many processes.
func (k *keeper) interval() time.Duration {
	return surveyEvery - surveyEvery/4 + rand.N(surveyEvery/2)
}

// patience is for how long a lane waits before it is looked at. What many processes lose
// at once they shall not look for at once.
func patience(l *lane) time.Duration {
	if l.kind == LaneOverflow {
		return 0
	}
	return rand.N(repairMin)
}

// surveySpills looks for overflow, and for lanes of it that are not needed.
func (k *keeper) surveySpills(ctx context.Context, now time.Time) {
	if !k.c.nc.IsConnected() {
		return
	}
	if err := k.c.spillway.discover(ctx); err != nil && ctx.Err() == nil {
		k.c.logs.repair.warn("the overflow could not be looked at", "error", err)
	}
	k.c.spillway.tidy(now)
}

// look makes sure that what a lane needs is there, once.
func (k *keeper) look(ctx context.Context, l *lane) error {
	if l.kind == LaneOverflow { // the stream is looked after for the retry lane
		return k.lookAtConsumer(ctx, l)
	}
	if err := (topology{k.c}).streams(ctx); err != nil {
		return err
	}
	return k.lookAtConsumer(ctx, l)
}

func (k *keeper) lookAtConsumer(ctx context.Context, l *lane) error {
	info, err := topology{k.c}.consumer(ctx, l)
	if err != nil {
		return err
	}
	k.seen(l, info)
	return nil
}

// survey looks at every lane that is well. What it cannot learn now it learns next
// time: a lane is in trouble when the server says so, not when it says nothing.
func (k *keeper) survey(ctx context.Context, patients map[*lane]*patient) {
	if !k.c.nc.IsConnected() {
		return
	}
	streams := topology{k.c}.streams(ctx)
	for _, l := range k.c.allLanes() {
		if patients[l] != nil {
			continue
		}
		err := streams
		if err == nil {
			err = k.lookAtConsumer(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.c.logs.repair.warn("a lane could not be looked at", "lane", l.kind, "error", err)
		}
		if !unanswered(err) {
			k.note(l.kind, err)
		}
	}
}

// unanswered reports whether err means that the server said nothing.
func unanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrConnectionClosed)
}

// seen takes in what a consumer's info tells.
func (k *keeper) seen(l *lane, info *jetstream.ConsumerInfo) {
	l.state.pending.Store(info.NumPending)
	l.state.ackPending.Store(int64(info.NumAckPending))
	if l.flow != nil && info.NumPending > 0 {
		k.c.spillway.more(l.flow)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	l.made = info.Created
	if l.kind != LaneMain {
		return
	}
	k.c.maxAway.Store(int64(orElse(info.Config.MaxAckPending, maxAckPending)) / 2)
	k.ackFloor, k.known = info.AckFloor.Stream, true
}

// madeAt returns when the consumer of l was created, as last seen.
func (k *keeper) madeAt(l *lane) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return l.made
}

// orElse returns n, or other if n says that there is no bound.
func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// incarnation notes when a stream was created. When it is another stream than before
// that has the name now, what is held is of messages that do not exist any more.
func (k *keeper) incarnation(stream string, created time.Time) {
	k.mu.Lock()
	before, seen := k.created[stream]
	k.created[stream] = created
	again := seen && !before.Equal(created)
	if again && stream == k.c.cfg.Stream {
		k.ackFloor, k.known = 0, true // whatever Deliver says: all of it is new
	}
	k.mu.Unlock()
	if !again {
		return
	}
	k.c.log.Warn("the stream was deleted and made again; what is held of the old one is finished, but cannot be acknowledged", "stream", stream)
	k.c.leases.void(stream, created)
	if stream == k.c.cfg.Overflow.Stream {
		k.c.spillway.reborn()
	}
}

// floor returns up to where all is done, if it is known: a consumer that was deleted
// begins after it.
func (k *keeper) floor() (sequence uint64, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ackFloor, k.known
}

// note remembers what is wrong with a lane, or that nothing is.
func (k *keeper) note(kind Lane, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		delete(k.trouble, kind)
		return
	}
	k.trouble[kind] = &laneError{kind, err}
}

// laneError says which lane cannot go on.
type laneError struct {
	lane Lane
	err  error
}

func (e *laneError) Error() string {
	return "consumer: lane " + string(e.lane) + ": " + strings.TrimPrefix(e.err.Error(), "consumer: ")
}

func (e *laneError) Unwrap() error { return e.err }

// err returns what is wrong with the lanes, in their order.
func (k *keeper) err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.trouble[LaneMain], k.trouble[LaneRetry], k.trouble[LaneSuspect])
}
