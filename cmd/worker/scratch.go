package main

import (
	"os"
	"sync"
	"time"
)

// accountTimeout bounds how long a server may take to tell what an account has.
const accountTimeout = 10 * time.Second

// scratch makes a directory for the embedded server. remove may be called again, by
// others too, and returns when nothing is left, also while the server still writes: it
// finds its directory no more.
func scratch() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "spillway-")
	if err != nil {
		return "", nil, err
	}
	return dir, sync.OnceFunc(func() {
		gone := dir + "-ended"
		if os.Rename(dir, gone) != nil {
			gone = dir
		}
		_ = os.RemoveAll(gone) // nobody is left to be told
	}), nil
}
