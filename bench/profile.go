package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// create makes a file, unless its name is "".
func create(name string) (*os.File, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("bench: profile: %w", err)
	}
	return f, nil
}

// closeFile accepts that there is none.
func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// writeAllocs writes a profile of everything that was allocated, unless name is "".
func writeAllocs(name string) error {
	f, err := create(name)
	if f == nil {
		return err
	}
	return firstError(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
