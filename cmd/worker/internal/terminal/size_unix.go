//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package terminal

import (
	"os"
	"syscall"
	"unsafe"
)

// size asks the terminal; 0 if it does not tell, or is none.
func size(f *os.File) (columns, rows int) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, 0
	}
	var w struct{ rows, columns, width, height uint16 }
	var errno syscall.Errno
	err = conn.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&w)))
	})
	if err != nil || errno != 0 {
		return 0, 0
	}
	return int(w.columns), int(w.rows)
}
