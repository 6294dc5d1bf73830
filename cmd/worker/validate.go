package main

import (
	"fmt"
)

type validateCommand struct {
	settings

	Print bool `help:"Print the effective config, with secrets masked."`
}

// Run checks the file, and the routes of its handlers.
func (v *validateCommand) Run(p *process) error {
	cfg, err := v.load(p)
	if err != nil {
		return err
	}
	if v.Print {
		return cfg.Print(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid\n", v.Config)
	return err
}
