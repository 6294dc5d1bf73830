package config

import (
	"net/http"
	"time"
)

// defaultTimeout is how long a run of an http or exec handler may take.
const defaultTimeout = 30 * time.Second

// Handler says who does the work of a subject: one of HTTP, Exec and Discard.
type Handler struct {
	Subject    string   `yaml:"subject"`
	Downstream string   `yaml:"downstream"`
	HTTP       *HTTP    `yaml:"http,omitempty"`
	Exec       *Exec    `yaml:"exec,omitempty"`
	Discard    *Discard `yaml:"discard,omitempty"`
}

// HTTP posts each message to URL.
type HTTP struct {
	URL          URL               `yaml:"url"`
	Timeout      *time.Duration    `yaml:"timeout"` // 0: none
	Headers      map[string]Header `yaml:"headers,omitempty"`
	DeadLetterOn []int             `yaml:"dead_letter_on,flow"`
}

// Header is the value of a header that is sent along: written down, or the content
// of a file, which is read again for each message so that it can be replaced.
type Header struct {
	Value Secret `yaml:"value,omitempty"`
	File  string `yaml:"file,omitempty"`
}

// UnmarshalText takes a header written as a plain value.
func (h *Header) UnmarshalText(text []byte) error {
	h.Value = Secret(text)
	return nil
}

// Exec runs a command for each message.
type Exec struct {
	Command []string       `yaml:"command,flow"`
	Timeout *time.Duration `yaml:"timeout"` // 0: none
}

// Discard acknowledges each message after Delay.
type Discard struct {
	Delay time.Duration `yaml:"delay"`
}

// Kind is the key of what h does.
func (h Handler) Kind() string {
	switch {
	case h.HTTP != nil:
		return "http"
	case h.Exec != nil:
		return "exec"
	}
	return "discard"
}

// Timeout is how long a run may take, 0 if there is no bound.
func (h Handler) Timeout() time.Duration {
	switch {
	case h.HTTP != nil:
		return *h.HTTP.Timeout
	case h.Exec != nil:
		return *h.Exec.Timeout
	}
	return 0
}

func (h Handler) complete() {
	timeout := defaultTimeout
	if h.HTTP != nil {
		setDefault(&h.HTTP.Timeout, &timeout)
		if h.HTTP.DeadLetterOn == nil {
			h.HTTP.DeadLetterOn = defaultDeadLetterOn()
		}
	}
	if h.Exec != nil {
		setDefault(&h.Exec.Timeout, &timeout)
	}
}

// defaultDeadLetterOn are the answers that a repetition cannot change.
func defaultDeadLetterOn() []int {
	return []int{
		http.StatusBadRequest,
		http.StatusGone,
		http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity,
	}
}
