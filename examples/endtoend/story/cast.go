package story

import (
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

// The tenants. Acme floods, the others are quiet.
const flooder = "acme"

var tenants = [...]string{flooder, "globex", "initech", "umbrella"}

func quiet() []string { return tenants[1:] }

// How much there is to do.
const (
	flooderRate = 50.0 // jobs a second
	quietRate   = 25.0 // of each quiet tenant
	spikeFactor = 10
)

// What there is to do it with. The downstream serves 300 jobs a second: 2.4 times what all
// send usually, and half of what the spike brings.
const (
	checking        = 10 * time.Millisecond // what the gateway does with a request: log in, validate
	checkedAtOnce   = 6                     // requests of one tenant in the gateway, so 600 a second at most
	billingWorkers  = 12
	billingTime     = 40 * time.Millisecond
	slowFactor      = 30
	handlerTimeout  = 500 * time.Millisecond // a call that takes longer has failed
	workersOfWorker = 32
	queueOfTenant   = 64 // jobs of a tenant that wait in the worker; what is more overflows
)

// A Scene is what is going on.
type Scene int

// The scenes, in their order.
const (
	Normal Scene = iota
	Spike
	SlowDownstream
	scenes
)

// Scenes are all of them.
func Scenes() []Scene { return []Scene{Normal, Spike, SlowDownstream} }

func (s Scene) String() string {
	return [...]string{"normal", "spike", "slow downstream"}[s]
}

// DefaultScene is how long a scene takes if nobody says otherwise.
const DefaultScene = 20 * time.Second

// LeastJudged is how long scenes must be for a summary to judge them: in shorter ones a recovery
// has no time, and a few jobs that come at random decide.
const LeastJudged = 10 * time.Second

// trouble is how long the trouble of a scene lasts, from its begin; the rest of it is for
// the recovery.
func (s Scene) trouble(length time.Duration) time.Duration {
	if s == Normal {
		return 0
	}
	return length * 2 / 5
}

// stages is what the flooder sends in a scene of that length.
func (s Scene) stages(length time.Duration) []load.Stage {
	if s != Spike {
		return []load.Stage{{From: flooderRate, To: flooderRate, For: length}}
	}
	trouble := s.trouble(length)
	return []load.Stage{
		{From: spikeFactor * flooderRate, To: spikeFactor * flooderRate, For: trouble},
		{From: flooderRate, To: flooderRate, For: length - trouble},
	}
}
