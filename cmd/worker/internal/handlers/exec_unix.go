//go:build unix

package handlers

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup makes the command the leader of a process group, so that what it starts
// can be ended with it, and keeps the signals of our terminal from it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminateGroup(leader *os.Process) error {
	if err := syscall.Kill(-leader.Pid, syscall.SIGTERM); err != nil {
		return os.ErrProcessDone
	}
	return nil
}

func killGroup(leader *os.Process) {
	// The only error is that nobody is left.
	_ = syscall.Kill(-leader.Pid, syscall.SIGKILL)
}
