package config

import (
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
)

// Print writes the effective config, with secrets masked.
func (c *Config) Print(w io.Writer) error {
	text, err := yaml.MarshalWithOptions(c.effective(), yaml.IndentSequence(true))
	if err != nil {
		return fmt.Errorf("the config cannot be written: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// effective returns the File in which every override is whole.
func (c *Config) effective() File {
	f := c.File
	f.Tenants.Overrides = make(map[string]PolicyPatch, len(c.Tenants.Overrides))
	for name, patch := range c.Tenants.Overrides {
		p := c.policy(patch)
		f.Tenants.Overrides[name] = PolicyPatch{
			Queue: &p.Queue, High: &p.High, Low: &p.Low, Weight: &p.Weight,
			MaxInFlight: &p.MaxInFlight, Rate: &p.Rate, OnOverflow: &p.OnOverflow,
		}
	}
	return f
}
