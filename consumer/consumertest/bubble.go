package consumertest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server/ats"
)

// Background is the function of the one goroutine that importing this package starts
// and that does not end. A test of goroutine leaks ignores it:
//
//	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(consumertest.Background))
const Background = "github.com/nats-io/nats-server/v2/server/ats.Register.func1"

// The clock of nats-server's file store starts with the first store and is shared by
// all of the process. It listens to a channel that is older than any bubble; started
// by a store inside a bubble, it would be a goroutine there that never waits durably,
// and virtual time would stand still. An init function surely runs outside.
func init() { ats.Register() } //nolint:gochecknoinits // as above: it must not depend on who comes first

// holder says who has servers at the moment.
var holder struct {
	mu      sync.Mutex
	servers int
	bubble  testing.TB // the test whose bubble has the servers; nil: they are in real time
}

// enter counts a server in, or says why there cannot be one here and now.
func enter(tb testing.TB, listens bool) error {
	here := testing.TB(nil)
	if inBubble() {
		here = tb
	}
	if here != nil && listens {
		return errors.New("consumertest: a server that listens cannot be used in a synctest bubble: waiting for a socket stops virtual time; leave out WithListen()")
	}
	first, err := join(here)
	if err != nil {
		return err
	}
	if first && here != nil {
		emptyPools()
	}
	return nil
}

func join(here testing.TB) (first bool, err error) {
	holder.mu.Lock()
	defer holder.mu.Unlock()
	switch {
	case holder.servers == 0:
		holder.bubble = here
	case holder.bubble == here:
	case holder.bubble != nil:
		return false, fmt.Errorf("consumertest: a server runs in the synctest bubble of %s, and such a test needs NATS to itself; neither test may call t.Parallel", holder.bubble.Name())
	default:
		return false, errors.New("consumertest: a server runs outside of this synctest bubble, and a test in a bubble needs NATS to itself; no t.Parallel, and no server in the test around it")
	}
	holder.servers++
	return holder.servers == 1, nil
}

// leave counts a server out.
func leave() {
	holder.mu.Lock()
	last := holder.servers == 1 && holder.bubble != nil
	holder.mu.Unlock()
	if last {
		synctest.Wait() // clients put their last timers back
		emptyPools()
	}
	holder.mu.Lock()
	defer holder.mu.Unlock()
	holder.servers--
}

// emptyPools makes every sync.Pool forget its items, which takes two collections. The
// pool meant is the one of timers in nats.go, behind Flush, Request and NextMsg and so
// behind every reconnect: a timer of a bubble must not be used outside (a fatal error
// of the runtime), and one from outside never fires inside.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// inBubble goes by the year: a bubble's clock starts in 2000.
func inBubble() bool { return time.Now().Year() < 2020 }
