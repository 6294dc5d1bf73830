package metrics

import "testing"

// The counters of a value each are arrays, and one past the last is for the unknown.
func TestEveryValueHasACounterOfItsOwn(t *testing.T) {
	for name, list := range map[string]struct{ values, room int }{
		"Outcome":        {len(outcomes), maxOutcomes},
		"Result":         {len(results), maxResults},
		"OverflowPolicy": {len(policies), maxPolicies},
	} {
		if list.values == 0 || list.values >= list.room {
			t.Errorf("%d values of %s, and room for %d and an unknown one", list.values, name, list.room-1)
		}
	}
}
