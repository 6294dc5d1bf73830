package consumer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// How often the overseer looks at the bucket, though the watch tells what happens in it.
const (
	bucketLook   = 10 * time.Second // whether it is there, and the same
	bucketReread = 5 * time.Minute  // all of it, should the watch have missed something
	deadFor      = time.Minute      // how long a record that says nothing stays: others shall see it
	maxPurges    = 100              // of such records in one look
	awaitApplied = time.Second      // for what SetTenant has stored to be in force here
)

// The bounds of the bucket, when it is created: of all durables of the stream.
const (
	maxBucketBytes = 64 << 20
	maxRecord      = 16 << 10
)

// overseer follows the bucket in which the processes of the durable keep what SetTenant has
// set. Its goroutine, run, owns records, session and the times; load is called before that.
type overseer struct {
	c       *Consumer
	bucket  string
	kicks   chan struct{} // one place: look at the bucket now
	expired chan struct{} // one place: what is set has changed, so look when it is over

	records map[string]*record // by key
	session *session           // nil: the bucket is not watched
	reread  time.Time
	backoff time.Duration

	mu        sync.Mutex // guards what is below, and is held for no more than a look
	runs      bool       // or will: what is stored is going to be in force here
	following bool
	applied   uint64        // revision up to which everything is in force here
	moved     chan struct{} // closed when that changes
}

// record is what is known of one key.
type record struct {
	policy   envelope.Policy
	revision uint64
	dead     time.Time // since when it was seen to say nothing any more
}

func newOverseer(c *Consumer) overseer {
	return overseer{
		c: c, bucket: envelope.StateBucket(c.cfg.Stream),
		kicks: make(chan struct{}, 1), expired: make(chan struct{}, 1),
		records: make(map[string]*record), backoff: repairMin,
		moved: make(chan struct{}),
	}
}

// load reads what is set, before anything is pulled. Where there may be no bucket, or none
// that we may read, the Consumer does without; it does not without an answer.
func (o *overseer) load(ctx context.Context) error {
	o.expect(true)
	_, err := ask(ctx, topology{o.c}, func(ctx context.Context) (struct{}, error) {
		s, err := o.open(ctx)
		if err != nil {
			return struct{}{}, err
		}
		defer s.close()
		for s.seen != nil {
			select {
			case e, ok := <-s.watch.Updates():
				if !ok {
					return struct{}{}, nats.ErrConnectionClosed
				}
				o.take(s, e)
			case <-ctx.Done():
				return struct{}{}, ctx.Err()
			}
		}
		return struct{}{}, nil
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrLivePolicyOff):
		o.c.log.Info("tenants cannot be changed while it runs", "reason", err)
		return nil
	case unanswered(err) && !errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("consumer: read what is set of tenants from bucket %s: %w", o.bucket, err)
	}
	o.c.log.Warn("what is set of tenants cannot be read; the config alone counts until it can", "bucket", o.bucket, "error", err)
	return nil
}

// run follows the bucket until ctx is done.
func (o *overseer) run(ctx context.Context) {
	connected := o.c.nc.StatusChanged(nats.CONNECTED)
	defer o.c.nc.RemoveStatusListener(connected)
	defer o.expect(false)
	defer o.follow(false)
	defer o.leave()
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		var updates <-chan jetstream.KeyValueEntry
		if o.session != nil {
			updates = o.session.watch.Updates()
		}
		select {
		case e, ok := <-updates:
			if ok {
				o.take(o.session, e)
				continue
			}
			o.leave()
		case <-look.C:
		case <-connected: // whether the server kept the watch cannot be known
			o.leave()
		case <-o.kicks:
		case <-ctx.Done():
			return
		}
		look.Reset(o.look(ctx, time.Now()))
	}
}

// look makes sure of the watch, and returns when to look again.
func (o *overseer) look(ctx context.Context, now time.Time) time.Duration {
	if !o.c.nc.IsConnected() {
		return bucketLook // a connection will tell
	}
	err := o.ensure(ctx, now)
	switch {
	case err == nil:
		o.backoff = repairMin
		o.purge(ctx, now)
		return bucketLook/2 + rand.N(bucketLook)
	case ctx.Err() != nil:
	case errors.Is(err, ErrLivePolicyOff): // a human may make it
	default:
		o.c.logs.repair.warn("what is set of tenants cannot be followed", "bucket", o.bucket, "error", err)
	}
	o.backoff = min(2*o.backoff, 3*bucketLook)
	return o.backoff/2 + rand.N(o.backoff)
}

// ensure watches the bucket, if it is not watched or is another one by now.
func (o *overseer) ensure(ctx context.Context, now time.Time) error {
	if o.session != nil && now.Before(o.reread) {
		s, err := o.stream(ctx)
		if err == nil && s.CachedInfo().Created.Equal(o.session.created) {
			return nil
		}
		if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err // it says nothing of the watch
		}
	}
	o.leave()
	s, err := o.open(ctx)
	if errors.Is(err, ErrLivePolicyOff) {
		o.forget(func(string) bool { return true })
	}
	if err != nil {
		return err
	}
	o.session, o.reread = s, now.Add(bucketReread/2+rand.N(bucketReread))
	return nil
}

func (o *overseer) leave() {
	if o.session != nil {
		o.session.close()
		o.session = nil
	}
}

// apply puts in force what p says of its tenant.
func (o *overseer) apply(p envelope.Policy) {
	if p.Tenant == "" {
		return
	}
	if !o.c.overrides.set(p) {
		o.c.logs.repair.warn("too much is set of tenants: this is left out", "bucket", o.bucket, "tenant", p.Tenant, "most", maxOverrides)
		return
	}
	o.c.refresh(p.Tenant)
	select {
	case o.expired <- struct{}{}:
	default:
	}
}

// refresh makes the queues ask anew how a tenant is treated. Of several at once, the last
// to apply what it was told sees that there is something newer, and asks again.
func (c *Consumer) refresh(tenant string) {
	for now := c.policies.Add(1); ; {
		c.queues.Refresh(tenant)
		then := c.policies.Load()
		if then == now {
			return
		}
		now = then
	}
}

// forget ends what is set by the keys that are gone.
func (o *overseer) forget(gone func(key string) bool) {
	for key, r := range o.records {
		if gone(key) {
			delete(o.records, key)
			o.apply(envelope.Policy{Tenant: r.policy.Tenant})
		}
	}
}

// purge removes records that have said nothing for a while, so that the bucket does not
// grow. What was written since stays. Every process does this, and one is enough.
func (o *overseer) purge(ctx context.Context, now time.Time) {
	left := maxPurges
	for key, r := range o.records {
		switch {
		case !r.policy.At(now).Empty():
			r.dead = time.Time{}
		case r.dead.IsZero():
			r.dead = now.Add(rand.N(deadFor))
		case now.Sub(r.dead) > deadFor && left > 0:
			left--
			if err := o.remove(ctx, key, r.revision); err != nil {
				o.c.logs.repair.warn("what is over cannot be removed", "bucket", o.bucket, "key", key, "error", err)
				return
			}
			delete(o.records, key)
		}
	}
}

// expire makes what is over by time end on time, until ctx is done.
func (o *overseer) expire(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-o.expired:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		over, next := o.c.overrides.expire(now)
		for _, tenant := range over {
			o.c.refresh(tenant)
		}
		timer.Reset(next)
	}
}

// advance notes that everything up to a revision is in force.
func (o *overseer) advance(revision uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.applied = revision
	o.announce()
}

func (o *overseer) follow(following bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.following = following
	o.announce()
}

// expect notes whether anybody follows the bucket, or is about to.
func (o *overseer) expect(runs bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runs = runs
	o.announce()
}

// announce requires that mu is held.
func (o *overseer) announce() {
	close(o.moved)
	o.moved = make(chan struct{})
}

// await waits until a revision is in force here, for a second at most: it is stored, and will
// be.
func (o *overseer) await(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, awaitApplied)
	defer cancel()
	for {
		o.mu.Lock()
		done, moved := !o.runs || o.applied >= revision, o.moved
		o.mu.Unlock()
		if done {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// kick makes the overseer look now. It never blocks.
func (o *overseer) kick() {
	select {
	case o.kicks <- struct{}{}:
	default:
	}
}

// kvSubject is where the records of a key are in the stream of the bucket.
func (o *overseer) kvSubject(key string) string {
	return strings.Join([]string{"$KV", o.bucket, key}, ".")
}
