package story

import (
	"fmt"
	"time"
)

// A Pattern is what one metric was expected to do in a scene, and what it did.
type Pattern struct {
	Scene    Scene
	Metric   string
	Expected string
	Seen     string
	OK       bool
}

// patterns judges one scene. A scene that was cut short has none.
func patterns(scene Scene, t track, b *book) []Pattern {
	if !t.complete {
		return nil
	}
	var all []Pattern
	add := func(metric, expected, seen string, ok bool) {
		all = append(all, Pattern{scene, metric, expected, seen, ok})
	}
	flood, others := refusals(t)
	quietWait := b.wait(scene, 0.99, quiet()...)
	switch scene {
	case Normal:
		add("rejected_total, all", "hardly rises", fmt.Sprintf("+%d", flood+others), flood+others <= someRefusals)
		add("wait p99, all", "below "+brief(calm), brief(b.wait(scene, 0.99, tenants[:]...)), b.wait(scene, 0.99, tenants[:]...) < calm)
	case Spike:
		add("rejected_total, acme", "rises", fmt.Sprintf("+%d", flood), flood > someRefusals)
		add("rejected_total, others", "hardly rises", fmt.Sprintf("+%d", others), others <= someRefusals)
		add("overflow_messages, acme", "grows, then 0", fmt.Sprintf("%.0f → %.0f → %.0f", t.overflow.first, t.overflow.most, t.overflow.last),
			t.overflow.most > 0 && t.overflow.last == 0)
		add("overflow_messages, others", "hardly grows", fmt.Sprintf("at most %.0f", t.others.most), t.others.most <= t.overflow.most/10)
		add("wait p99, acme", "grows", brief(b.wait(scene, 0.99, flooder)), b.wait(scene, 0.99, flooder) > quietWait)
		add("wait p99, others", "below "+brief(calm), brief(quietWait), quietWait < calm)
	case SlowDownstream:
		add("concurrency_limit", "falls, recovers", fmt.Sprintf("%.0f → %.0f → %.0f", t.limit.first, t.limit.least, t.limit.rebound),
			t.limit.least < t.limit.first && t.limit.rebound > t.limit.least)
		opened := t.end.opened - t.begin.opened
		add("breaker_state", "closed in the end", fmt.Sprintf("opened %d×, %s", opened, t.end.breaker()), t.end.breaker() == "closed")
		add("messages_pulled_total, /s", "falls, rises", fmt.Sprintf("%.0f → %.0f → %.0f", t.pulls.first, t.pulls.least, t.pulls.rebound),
			t.pulls.least < t.pulls.first*3/4 && t.pulls.rebound > t.pulls.first)
		add("failed runs, retried", "rises", fmt.Sprintf("+%d", t.end.failed-t.begin.failed), t.end.failed > t.begin.failed)
		add("rejected_total, all", "hardly rises", fmt.Sprintf("+%d", flood+others), flood+others <= someRefusals)
	}
	return all
}

const (
	// calm is how long jobs of a tenant that floods nobody wait at most.
	calm = 250 * time.Millisecond
	// someRefusals are allowed to a gateway that is not overloaded: requests come at random.
	someRefusals = 10
)

// refusals returns how many requests the gateway refused in a scene.
func refusals(t track) (flood, others int) {
	for i, n := range t.end.refused {
		more := int(n - t.begin.refused[i])
		if tenants[i] == flooder {
			flood += more
		} else {
			others += more
		}
	}
	return flood, others
}
