package ops_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

func (s *scene) Tenant(name string) consumer.TenantState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.actors, func(a *actor) bool { return a.Tenant == name }); i >= 0 {
		return s.actors[i].TenantState
	}
	return consumer.TenantState{Tenant: name, Weight: 1}
}

func (s *scene) SetTenant(_ context.Context, tenant string, p consumer.TenantPatch, ttl time.Duration) error {
	said := inWords(tenant, p, ttl)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, said)
	if s.refuse != nil {
		return s.refuse
	}
	s.set(tenant, p, ttl)
	return nil
}

func (s *scene) set(tenant string, p consumer.TenantPatch, ttl time.Duration) {
	a := s.actor(tenant)
	o := new(consumer.TenantOverride)
	if a.Override != nil {
		*o = *a.Override // who looks has the other one
	}
	var until time.Time
	if ttl > 0 {
		until = s.now.Add(ttl)
	}
	if p.Paused != nil {
		a.Paused, o.Paused = *p.Paused, nil
		if a.Paused {
			o.Paused = &consumer.Override[bool]{Value: true, Until: until}
		}
	}
	if p.Weight != nil {
		a.Weight, o.Weight = *p.Weight, &consumer.Override[float64]{Value: *p.Weight, Until: until}
	}
	if p.MaxInFlight != nil {
		a.MaxInFlight, o.MaxInFlight = *p.MaxInFlight, &consumer.Override[int]{Value: *p.MaxInFlight, Until: until}
	}
	if p.Rate != nil {
		if a.Rate = ""; p.Rate.Events > 0 {
			a.Rate = p.Rate.String()
		}
		o.Rate = &consumer.Override[string]{Value: a.Rate, Until: until}
	}
	if a.Override = o; *o == (consumer.TenantOverride{}) {
		a.Override = nil
	}
}

func (s *scene) ResetTenant(_ context.Context, tenant string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf("%q reset", tenant))
	if s.refuse != nil {
		return s.refuse
	}
	a := s.actor(tenant)
	a.Override, a.Paused, a.Weight, a.MaxInFlight, a.Rate = nil, false, 1, 0, ""
	return nil
}

// inWords is what a change asks for.
func inWords(tenant string, p consumer.TenantPatch, ttl time.Duration) string {
	text := fmt.Sprintf("%q", tenant)
	if p.Paused != nil {
		text += fmt.Sprint(" paused ", *p.Paused)
	}
	if p.Weight != nil {
		text += fmt.Sprint(" weight ", *p.Weight)
	}
	if p.MaxInFlight != nil {
		text += fmt.Sprint(" max ", *p.MaxInFlight)
	}
	if p.Rate != nil {
		rate := ""
		if p.Rate.Events > 0 {
			rate = p.Rate.String()
		}
		text += fmt.Sprintf(" rate %q", rate)
	}
	return text + " for " + ttl.String()
}
