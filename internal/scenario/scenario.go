package scenario

import (
	"context"
	"fmt"
	"strings"
)

// A Scenario brings claims about and says what became of them.
type Scenario struct {
	Name  string // as --only takes it
	Claim string // what it shows, in a line
	Doc   string // what it does, in a few sentences
	// Embedded, if not "", is why it runs on an embedded server only.
	Embedded string
	// Run does it. An error means that it could not be brought to its end.
	Run func(ctx context.Context, r *Rig) ([]Row, error)
}

// All returns the scenarios, in the order in which they run.
func All() []Scenario {
	return []Scenario{
		throughputScenario, floodScenario, whaleScenario, weightsScenario, slowTenantScenario, busyScenario,
		leasesScenario, drainScenario, breakerScenario, twoDownstreamsScenario, overloadScenario,
		retriesScenario, crashScenario, twoProcessesScenario, memoryScenario,
	}
}

// Names returns the names of all.
func Names(all []Scenario) []string {
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	return names
}

// An UnknownError says that there is no scenario of a name.
type UnknownError struct {
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no scenario %q; known are %s", e.Name, strings.Join(e.Known, ", "))
}

// Choose returns those of all that have one of the names, in their own order; all of them if
// no name is given. The error is an *[UnknownError].
func Choose(all []Scenario, names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return all, nil
	}
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	var chosen []Scenario
	for _, s := range all {
		if wanted[s.Name] {
			chosen = append(chosen, s)
			delete(wanted, s.Name)
		}
	}
	for _, name := range names {
		if wanted[name] {
			return nil, &UnknownError{Name: name, Known: Names(all)}
		}
	}
	return chosen, nil
}
