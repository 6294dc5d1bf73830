package main

import "os"

func main() {
	os.Exit(execute(os.Args[1:], &process{
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		environ: os.Environ(),
		exit:    os.Exit,
	}))
}
