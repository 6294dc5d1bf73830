//go:build unix

package scenario

import (
	"syscall"
	"time"
)

// ownTime is what this process and those of its children that have ended took of the
// processors.
func ownTime() time.Duration {
	var own time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if syscall.Getrusage(who, &u) == nil {
			own += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return own
}
