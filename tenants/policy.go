package tenants

import (
	"errors"
	"fmt"
	"time"
)

// SetPolicy gives one tenant a policy of its own, at once. It is kept, whether or not the
// tenant is known, until ClearPolicy: neither PolicyFor nor Reconfigure changes it. A new
// weight applies to what starts from now on, and a new rate to the tokens that come. It is
// SetPolicyAt at the last time that Queues was told.
func (q *Queues[T]) SetPolicy(tenant string, p Policy) error {
	return q.setPolicy(tenant, p, func() {})
}

// SetPolicyAt is SetPolicy at a given time.
func (q *Queues[T]) SetPolicyAt(now time.Time, tenant string, p Policy) error {
	return q.setPolicy(tenant, p, func() { q.tick(now) })
}

func (q *Queues[T]) setPolicy(tenant string, p Policy, tick func()) error {
	p, err := q.valid(p)
	if err != nil {
		return fmt.Errorf("tenants: SetPolicy(%q): %w", tenant, err)
	}
	q.mu.Lock()
	tick()
	q.overrides[tenant] = p
	q.changes++
	if t := q.s.tenants[tenant]; t != nil {
		q.apply(t, p)
	}
	q.unlock()
	return nil
}

// ClearPolicy ends what SetPolicy began: Default and PolicyFor decide again. If PolicyFor
// gives an invalid policy, the tenant has Default until the next Reconfigure.
func (q *Queues[T]) ClearPolicy(tenant string) { q.again(tenant, true) }

// Refresh asks PolicyFor for the policy of one tenant again, and applies it at once, unless
// SetPolicy has given it one of its own. It is for whoever knows that PolicyFor would say
// something else by now. An invalid policy leaves the tenant with Default.
func (q *Queues[T]) Refresh(tenant string) { q.again(tenant, false) }

// again asks for the policy of a tenant until no Reconfigure has come between.
func (q *Queues[T]) again(tenant string, clearing bool) {
	for {
		q.mu.Lock()
		round, p, f := q.round, q.def, q.policyFor
		q.unlock()
		if f != nil {
			if asked, err := q.ask(f, tenant, p); err == nil {
				p = asked
			}
		}
		if q.refresh(round, tenant, p, clearing) {
			return
		}
	}
}

// refresh does nothing if there was a Reconfigure since that round.
func (q *Queues[T]) refresh(round uint64, tenant string, p Policy, clearing bool) bool {
	q.mu.Lock()
	defer q.unlock()
	if q.round != round {
		return false
	}
	q.changes++ // whoever meets the tenant just now may have asked before
	if clearing {
		delete(q.overrides, tenant)
	}
	if _, fixed := q.overrides[tenant]; fixed {
		return true
	}
	if t := q.s.tenants[tenant]; t != nil {
		t.round = round
		q.apply(t, p)
	}
	return true
}

// Reconfigure replaces Config.Default and Config.PolicyFor. Before it returns it has been
// applied to all tenants known but those with a policy of their own, unless a later one
// has overtaken it. If a policy is invalid it says so, and nothing is changed; only a
// tenant that is first seen meanwhile, and for which policyFor gives an invalid policy, is
// left with def.
func (q *Queues[T]) Reconfigure(def Policy, policyFor func(tenant string, p *Policy)) error {
	def, err := q.valid(def)
	if err != nil {
		return fmt.Errorf("tenants: Reconfigure: %w", err)
	}
	for {
		round := q.nextRound()
		names := q.outdated(round)
		policies, err := q.askAll(names, def, policyFor)
		if err != nil {
			return err
		}
		if !q.install(round, def, policyFor) {
			continue
		}
		q.applyAll(round, names, policies)
		late := q.outdated(round)
		policies, err = q.askAll(late, def, policyFor)
		q.applyAll(round, late, policies)
		return err
	}
}

// install makes def and f those of that round, if no other Reconfigure was faster.
func (q *Queues[T]) install(round uint64, def Policy, f func(string, *Policy)) bool {
	q.mu.Lock()
	defer q.unlock()
	if q.round+1 != round {
		return false
	}
	q.def, q.policyFor, q.round = def, f, round
	q.defLimits = def.limits()
	return true
}

func (q *Queues[T]) nextRound() uint64 {
	q.mu.Lock()
	defer q.unlock()
	return q.round + 1
}

// outdated returns the tenants whose policy is from before that round and not their own.
func (q *Queues[T]) outdated(round uint64) []string {
	q.mu.Lock()
	defer q.unlock()
	var names []string
	for _, t := range q.s.byID {
		if t == nil || t.round >= round {
			continue
		}
		if _, fixed := q.overrides[t.name]; !fixed {
			names = append(names, t.name)
		}
	}
	return names
}

// askAll returns the policies of tenants: def, and an error, for whom f's is invalid. It
// must be called without mu.
func (q *Queues[T]) askAll(tenants []string, def Policy, f func(string, *Policy)) ([]Policy, error) {
	var errs []error
	policies := make([]Policy, len(tenants))
	for i, name := range tenants {
		policies[i] = def
		if f == nil {
			continue
		}
		if p, err := q.ask(f, name, def); err != nil {
			errs = append(errs, err)
		} else {
			policies[i] = p
		}
	}
	return policies, errors.Join(errs...)
}

// applyAll gives tenants their policies, some of them in one hold of the lock, unless
// there is a later round.
func (q *Queues[T]) applyAll(round uint64, tenants []string, policies []Policy) {
	for i := 0; i < len(tenants); i += chunk {
		end := min(i+chunk, len(tenants))
		q.applySome(round, tenants[i:end], policies[i:end])
	}
}

func (q *Queues[T]) applySome(round uint64, tenants []string, policies []Policy) {
	q.mu.Lock()
	defer q.unlock()
	if q.round != round {
		return
	}
	for i, name := range tenants {
		t := q.s.tenants[name]
		// Who is of this round already was asked for since it began.
		if _, fixed := q.overrides[name]; t != nil && !fixed && t.round < round {
			t.round = round
			q.apply(t, policies[i])
		}
	}
}

// apply requires mu, and that p is valid.
func (q *Queues[T]) apply(t *tenant, p Policy) {
	q.s.apply(q.now, t, q.limits(p))
	q.wake()
	q.setAlarm(q.now)
}
