package main

import (
	"errors"
	"regexp"
	"strings"
)

// loadFields are the fields that package load names in its errors, and what they are on the
// command line. The first that matches counts.
var loadFields = []struct {
	field *regexp.Regexp
	flag  string
}{
	{regexp.MustCompile(`HTTPConfig\.URL`), "URL"},
	{regexp.MustCompile(`HTTPConfig\.Method`), "--method"},
	{regexp.MustCompile(`HTTPConfig\.Connections|Config\.MaxInFlight`), "--max-in-flight"},
	{regexp.MustCompile(`JetStreamConfig\.Subject`), "--subject"},
	{regexp.MustCompile(`Config\.Timeout`), "--timeout"},
	{regexp.MustCompile(`Config\.MaxDelay`), "--max-delay"},
	{regexp.MustCompile(`Config\.Stages\[\d+\]: Stage\.For`), "--duration"}, // --stage was read already
	{regexp.MustCompile(`Config\.Stages\[\d+\]: Stage\.(From|To)`), "--rate"},
	{regexp.MustCompile(`Config\.Stages`), "the stages"},
	{regexp.MustCompile(`Stage\.For`), "its time"},
	{regexp.MustCompile(`Stage\.(From|To)`), "its rate"},
	{regexp.MustCompile(`Tenants\.(Names|Weights)(\[\d+\])?`), "--tenants"},
}

// inFlags returns an error of package load in the words of the command line.
func inFlags(err error) error {
	text := strings.TrimPrefix(err.Error(), "load: ")
	for _, f := range loadFields {
		text = f.field.ReplaceAllString(text, f.flag)
	}
	return errors.New(text)
}
