//go:build !unix

package handlers

import (
	"os"
	"os/exec"
)

// ownGroup does nothing: there are no process groups, and only the command itself is
// ended.
func ownGroup(*exec.Cmd) {}

func terminateGroup(leader *os.Process) error { return leader.Kill() }

func killGroup(*os.Process) {}
