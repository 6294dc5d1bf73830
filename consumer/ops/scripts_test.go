package ops_test

import (
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// What happens in the scenes, second by second.

// wander moves the limits as one that measures does.
func wander(s *scene, second int) {
	for i, d := range s.downs {
		switch (second + 17*i) % 50 {
		case 0:
			d.setLimit(max(4, d.Limit.Limit-1-i), "probe", s.now)
		case 3:
			d.setLimit(d.Limit.Limit+1+i+(second/50)%2*2-1, "probed", s.now)
		}
	}
}

// spike lets one tenant send forty times as much for the last minutes.
func spike(s *scene, second int) {
	wander(s, second)
	a := s.actor("acme")
	switch second {
	case sceneLength - 260:
		a.rate *= 40
	case sceneLength - 250:
		a.Noisy = true
	}
}

// slow makes a downstream eight times slower.
func slow(s *scene, second int) {
	d := s.downs[0]
	switch since := second - (sceneLength - 300); {
	case since < 0:
		wander(s, second)
	case since == 0:
		d.service *= 8
	case since < 60 && since%6 == 0:
		d.setLimit(max(9, d.Limit.Limit-3), "queued", s.now)
	case since%40 == 0:
		d.setLimit(9+since/40%3, "grew", s.now)
	}
}

// shut makes a downstream fail until its breaker opens.
func shut(s *scene, second int) {
	d := s.downs[1]
	b := d.Breaker
	switch since := second - (sceneLength - 75); {
	case since < 0:
		wander(s, second)
		b.Calls, b.Failures = 140+second%9, second%3
	case since == 0:
		d.failing = true
	case since >= 4 && b.State == consumer.BreakerClosed:
		*b = consumer.BreakerStatus{State: consumer.BreakerOpen, Since: s.now, Until: s.now.Add(5 * time.Second), Openings: 1}
	case b.State == consumer.BreakerOpen && !s.now.Before(b.Until):
		b.Openings++
		b.Until = s.now.Add(min(time.Minute, 5*time.Second<<b.Openings))
	}
}

// halted has a tenant paused, and things set of others.
func halted(s *scene, second int) {
	wander(s, second)
	if second == sceneLength-120 {
		s.set("borealis", consumer.TenantPatch{Paused: new(true)}, 15*time.Minute)
		s.set("borealis", consumer.TenantPatch{Weight: new(2.5), Rate: &limiter.Rate{Events: 10, Per: time.Second}}, 0)
		s.set("ironwood", consumer.TenantPatch{MaxInFlight: new(4)}, 6*time.Hour)
		s.set("kestrel", consumer.TenantPatch{Paused: new(true)}, 0)
	}
}

// many is ten thousand tenants, of which some are too much.
func many(s *scene, second int) {
	wander(s, second)
	if second == 0 {
		s.actors = s.actors[:0]
		for i := range 10_000 {
			s.tenant(fmt.Sprintf("tenant-%04d", i), 0.05+3/float64(1+i), i%3)
		}
	}
	if second == sceneLength-8 {
		s.actors[3].rate, s.actors[3].Noisy = 2600, true
		s.actors[71].rate = 900
	}
}

// nothing is a worker that has just begun.
func nothing(s *scene, second int) {
	if second == 0 {
		s.actors, s.downs = nil, nil
		s.downstream("billing", time.Millisecond, 10)
		s.state.DeadLetters = nil
	}
}
