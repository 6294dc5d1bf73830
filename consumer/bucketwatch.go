package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// session is one watch of the bucket.
type session struct {
	watch   jetstream.KeyWatcher
	end     context.CancelFunc
	created time.Time
	seen    map[string]bool // keys, until the first reading is complete; then nil
}

// open begins a watch that lasts until ctx is done or it is closed.
func (o *overseer) open(ctx context.Context) (*session, error) {
	created, err := o.make(ctx)
	if err != nil {
		return nil, err
	}
	kv, err := o.keyValue(ctx)
	if err != nil {
		return nil, err
	}
	watching, end := context.WithCancel(ctx)
	watch, err := kv.Watch(watching, envelope.PolicyKeys(o.c.cfg.Durable))
	if err != nil {
		end()
		return nil, err
	}
	return &session{watch: watch, end: end, created: created, seen: make(map[string]bool)}, nil
}

// close ends the watch, and takes what it still wants to tell, on which it would wait.
func (s *session) close() {
	s.end()
	_ = s.watch.Stop() // ended already, or the connection is
	for e := range s.watch.Updates() {
		_ = e // to its end
	}
}

// take puts one entry in force; nil is the end of the first reading.
func (o *overseer) take(s *session, e jetstream.KeyValueEntry) {
	if e == nil {
		if s.seen != nil {
			seen := s.seen
			s.seen = nil
			o.forget(func(key string) bool { return !seen[key] })
			o.follow(s == o.session)
		}
		return
	}
	if s.seen != nil {
		s.seen[e.Key()] = true
	}
	p := o.parse(e)
	if r := o.records[e.Key()]; r != nil && r.policy.Tenant != p.Tenant {
		o.apply(envelope.Policy{Tenant: r.policy.Tenant}) // it was of no use, or is now
	}
	if p.Tenant == "" {
		o.records[e.Key()] = &record{revision: e.Revision()}
	} else {
		o.records[e.Key()] = &record{policy: p, revision: e.Revision()}
		o.apply(p)
	}
	o.advance(e.Revision())
}

// parse reads an entry. One that is not to be read says nothing, and names no tenant.
func (o *overseer) parse(e jetstream.KeyValueEntry) envelope.Policy {
	if e.Operation() != jetstream.KeyValuePut {
		return envelope.Policy{}
	}
	p, err := envelope.ParsePolicy(e.Value())
	if _, partly := errors.AsType[envelope.UnreadError](err); err == nil || partly {
		var unsound error
		p, unsound = sound(p)
		err = errors.Join(err, unsound)
		if e.Key() != envelope.PolicyKey(o.c.cfg.Durable, p.Tenant) || !ValidTenant(p.Tenant) {
			p, err = envelope.Policy{}, fmt.Errorf("it is of tenant %.64q, whose key is another", p.Tenant)
		}
	}
	if err != nil {
		o.c.logs.repair.warn("what is set of a tenant cannot be read whole", "bucket", o.bucket, "key", e.Key(), "error", err)
	}
	return p
}
