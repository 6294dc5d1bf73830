package scenario

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"
)

// What makes a run one that says little: other programs take more than othersMost of the
// processors while less than idleLeast of them is idle, in more than disturbedMost of its
// seconds.
const (
	othersMost    = 0.10
	idleLeast     = 0.25
	disturbedMost = 0.20
)

// usage is the time that processors have spent since the system has started.
type usage struct {
	busy, idle time.Duration // of all programs together
	own        time.Duration // of this one and its children
}

// tickTime is what /proc/stat counts in.
const tickTime = 10 * time.Millisecond

var errNoUsage = errors.New("the system does not tell how busy it is")

// readUsage returns the present usage, where the system tells. What children have taken that
// have ended is known without them.
func readUsage(children []int) (usage, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return usage{}, err
	}
	u, err := parseUsage(string(text))
	u.own = ownTime()
	for _, pid := range children {
		u.own += timeOf(pid)
	}
	return u, err
}

// timeOf returns what a process has taken, 0 if it is gone.
func timeOf(pid int) time.Duration {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), ") ") // the name before it may hold anything
	fields := strings.Fields(after)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, i := range []int{user, system} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * tickTime
}

// parseUsage reads the first line of /proc/stat: cpu user nice system idle iowait irq softirq
// steal. What a hypervisor took counts as busy.
func parseUsage(text string) (usage, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return usage{}, errNoUsage
	}
	var u usage
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, errNoUsage
		}
		if i == 3 || i == 4 { // idle, iowait
			u.idle += time.Duration(ticks) * tickTime
		} else {
			u.busy += time.Duration(ticks) * tickTime
		}
	}
	return u, nil
}

// others returns which share of the processors others took between two usages, and which
// share nobody did.
func others(from, to usage) (taken, idle float64) {
	all := (to.busy - from.busy) + (to.idle - from.idle)
	if all <= 0 {
		return 0, 1
	}
	taken = float64((to.busy-from.busy)-(to.own-from.own)) / float64(all)
	return max(taken, 0), float64(to.idle-from.idle) / float64(all)
}

// A lookout watches what other programs take of the processors.
type lookout struct {
	children func() []int // the processes that belong to us

	seconds, disturbed int
	worst              float64 // the largest share that others took in a disturbed second
}

// watch looks each second until ctx ends.
func (l *lookout) watch(ctx context.Context) {
	before, err := readUsage(l.children())
	if err != nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := readUsage(l.children())
		if err != nil {
			return
		}
		l.note(others(before, now))
		before = now
	}
}

func (l *lookout) note(taken, idle float64) {
	l.seconds++
	if taken > othersMost && idle < idleLeast {
		l.disturbed++
		l.worst = max(l.worst, taken)
	}
}

// wasDisturbed reports whether what was measured meanwhile says little.
func (l *lookout) wasDisturbed() bool {
	return float64(l.disturbed) > disturbedMost*float64(l.seconds)
}
