package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// SetTenant changes how a tenant is treated, over what the config says and in every process
// of the durable: those that run within a second, as far as they reach NATS, and those to
// come before they pull. Fields of p that are nil keep what an earlier SetTenant has set. With
// a ttl above 0, and of at most MaxTTL, what p sets is over then, by the clock of each process,
// and what the config says counts again; fields that were set before keep their own times.
//
// It is kept in the key-value bucket that is called like the stream with _STATE behind it,
// which is created if it is missing. Of at most 10,000 tenants something may be set at a time.
// When SetTenant returns it is stored, and in force in this process if that runs. The errors are
// ErrPatch for arguments that cannot be, ErrLivePolicyOff where Unmanaged forbids to create the
// bucket, ErrTooManyOverrides, ErrOverrideConflict, and those of NATS; with any of them nothing
// has changed, unless NATS did not answer: then the change is made whole or not at all.
//
// It may be called at any time, before Run and after it too.
func (c *Consumer) SetTenant(ctx context.Context, tenant string, p TenantPatch, ttl time.Duration) error {
	if err := errors.Join(checkTenant(tenant), p.Validate("TenantPatch"), checkTTL(ttl)); err != nil {
		return err
	}
	return c.overseer.change(ctx, tenant, func(r envelope.Policy, now time.Time) envelope.Policy {
		var until time.Time
		if ttl > 0 {
			until = now.Add(ttl).Round(0).UTC()
		}
		return p.onto(r, now, until)
	})
}

// ResetTenant ends all that SetTenant has set of a tenant, in every process: the config
// counts again. It is no error if nothing was set. Otherwise it is like SetTenant.
func (c *Consumer) ResetTenant(ctx context.Context, tenant string) error {
	if err := checkTenant(tenant); err != nil {
		return err
	}
	return c.overseer.change(ctx, tenant, func(envelope.Policy, time.Time) envelope.Policy {
		return envelope.Policy{Tenant: tenant}
	})
}

// maxTries is how often a change is tried that others are faster than.
const maxTries = 20

// change replaces the record of a tenant by what next makes of it.
func (o *overseer) change(ctx context.Context, tenant string, next func(r envelope.Policy, now time.Time) envelope.Policy) error {
	revision, err := o.store(ctx, tenant, next)
	if err != nil {
		return fmt.Errorf("consumer: set tenant %q: %w", tenant, err)
	}
	if revision > 0 {
		o.await(ctx, revision)
	}
	return nil
}

// store returns the revision of what it has written, 0 if there was nothing to write.
func (o *overseer) store(ctx context.Context, tenant string, next func(r envelope.Policy, now time.Time) envelope.Policy) (uint64, error) {
	if status := o.c.nc.Status(); status != nats.CONNECTED { // what is sent now could arrive long after
		return 0, fmt.Errorf("NATS is %s", strings.ToLower(status.String()))
	}
	if _, err := o.make(ctx); err != nil {
		return 0, err
	}
	kv, err := o.keyValue(ctx)
	if err != nil {
		return 0, err
	}
	key := envelope.PolicyKey(o.c.cfg.Durable, tenant)
	for range maxTries {
		old, revision, err := o.read(ctx, kv, tenant, key)
		if err != nil {
			return 0, err
		}
		p := next(old, time.Now())
		if revision == 0 && p.Empty() {
			return 0, nil
		}
		if err := o.room(ctx, p, revision); err != nil {
			return 0, err
		}
		data, err := p.Bytes()
		if err != nil {
			return 0, err
		}
		revision, err = o.write(ctx, kv, key, data, revision)
		if !isConflict(err) {
			return revision, err
		}
	}
	return 0, ErrOverrideConflict
}

// read returns the record of a tenant, and its revision, 0 if there is none.
func (o *overseer) read(ctx context.Context, kv jetstream.KeyValue, tenant, key string) (envelope.Policy, uint64, error) {
	none := envelope.Policy{Tenant: tenant}
	e, err := ask(ctx, topology{o.c}, func(ctx context.Context) (jetstream.KeyValueEntry, error) { return kv.Get(ctx, key) })
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return none, 0, nil
	}
	if err != nil {
		return none, 0, err
	}
	p, err := envelope.ParsePolicy(e.Value())
	if errors.Is(err, envelope.ErrLaterVersion) {
		return none, 0, err
	}
	if _, partly := errors.AsType[envelope.UnreadError](err); err != nil && !partly || p.Tenant != tenant {
		return none, e.Revision(), nil // it is of no use to anybody
	}
	return p, e.Revision(), nil
}

// write stores a record, unless there is another one than that of a revision by now.
func (o *overseer) write(ctx context.Context, kv jetstream.KeyValue, key string, data []byte, revision uint64) (uint64, error) {
	return ask(ctx, topology{o.c}, func(ctx context.Context) (uint64, error) {
		if revision == 0 {
			return kv.Create(ctx, key, data)
		}
		return kv.Update(ctx, key, data, revision)
	})
}

func isConflict(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// room reports that there is none for p. Processes that set many at once may pass the bound
// by as many.
func (o *overseer) room(ctx context.Context, p envelope.Policy, revision uint64) error {
	full := o.c.overrides.full(p.Tenant)
	o.mu.Lock()
	following := o.following
	o.mu.Unlock()
	if !following && revision == 0 { // what is set is not known here
		s, err := o.stream(ctx)
		if err != nil {
			return err
		}
		full = s.CachedInfo().State.NumSubjects >= maxOverrides
	}
	if full && !p.Silent() {
		return fmt.Errorf("%w: %d", ErrTooManyOverrides, maxOverrides)
	}
	return nil
}

// make makes sure of the bucket, and returns when it was created.
func (o *overseer) make(ctx context.Context) (created time.Time, err error) {
	s, err := o.stream(ctx)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if o.c.cfg.Unmanaged {
			return created, fmt.Errorf("%w: bucket %s does not exist, and Unmanaged forbids to create it", ErrLivePolicyOff, o.bucket)
		}
		if err = o.create(ctx); err == nil {
			defer o.kick() // who watched the one before shall know
			s, err = o.stream(ctx)
		}
	}
	if err != nil {
		return created, fmt.Errorf("bucket %s: %w", o.bucket, err)
	}
	return s.CachedInfo().Created, nil
}

// create makes the bucket, on as many servers as the stream is on.
func (o *overseer) create(ctx context.Context) error {
	want := jetstream.KeyValueConfig{
		Bucket:       o.bucket,
		Description:  "What is set of the tenants of " + o.c.cfg.Stream + " while Spillway runs",
		MaxValueSize: maxRecord,
		MaxBytes:     maxBucketBytes,
		Metadata:     topology{o.c}.metadata(),
	}
	source := o.c.source.Load()
	if source == nil { // Run has not looked yet
		s, err := topology{o.c}.stream(ctx, o.c.cfg.Stream)
		if err != nil {
			return err
		}
		source = s.CachedInfo()
	}
	want.Storage, want.Replicas = source.Config.Storage, source.Config.Replicas
	_, err := ask(ctx, topology{o.c}, func(ctx context.Context) (jetstream.KeyValue, error) { return o.c.js.CreateKeyValue(ctx, want) })
	if errors.Is(err, jetstream.ErrBucketExists) { // another process was faster
		return nil
	}
	if err == nil {
		o.c.log.Info("created the bucket", "bucket", o.bucket)
	}
	return err
}

func (o *overseer) keyValue(ctx context.Context) (jetstream.KeyValue, error) {
	return ask(ctx, topology{o.c}, func(ctx context.Context) (jetstream.KeyValue, error) { return o.c.js.KeyValue(ctx, o.bucket) })
}

// stream is what keeps the bucket.
func (o *overseer) stream(ctx context.Context) (jetstream.Stream, error) {
	return topology{o.c}.stream(ctx, "KV_"+o.bucket)
}

// remove removes what is under a key, up to a revision.
func (o *overseer) remove(ctx context.Context, key string, revision uint64) error {
	s, err := o.stream(ctx)
	if err != nil {
		return err
	}
	_, err = ask(ctx, topology{o.c}, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.Purge(ctx, jetstream.WithPurgeSubject(o.kvSubject(key)), jetstream.WithPurgeSequence(revision+1))
	})
	return err
}
