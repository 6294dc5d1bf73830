package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// maxKey bounds a Nats-Msg-Id that is passed on as the idempotency key.
const maxKey = 1024

// fact is something that a handler is told about a message besides its payload.
type fact struct{ name, value string }

// factsOf returns what is told of m: as the headers Spillway-<name> by HTTP, and as
// the variables SPILLWAY_MSG_<NAME> by Exec.
func factsOf(m *consumer.Message) []fact {
	return []fact{
		{"Subject", plain(m.Subject)},
		{"Tenant", plain(m.Tenant)},
		{"Stream", plain(m.Stream)},
		{"Sequence", strconv.FormatUint(m.Sequence, 10)},
		{"Published", m.Published.UTC().Format(time.RFC3339Nano)},
		{"Attempt", strconv.Itoa(m.Attempt)},
	}
}

// idempotencyKey is the same for all runs of a message, and for all publications of
// it that its publisher called the same.
func idempotencyKey(m *consumer.Message) string {
	if id := m.Header.Get("Nats-Msg-Id"); id != "" && len(id) <= maxKey && plain(id) == id {
		return id
	}
	return fmt.Sprintf("%s-%d", m.Stream, m.Sequence)
}

// plain returns s with its control characters written as %XX.
func plain(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if isControl(rune(s[i])) {
			fmt.Fprintf(&b, "%%%02X", s[i])
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// maxShown bounds how much of an answer or an output is in an error.
const maxShown = 512

// shorten returns the beginning of text on one line.
func shorten(text []byte) string {
	s := strings.ToValidUTF8(string(text[:min(len(text), maxShown)]), "�")
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return isControl(r) || r == ' ' }), " ")
	if len(text) > maxShown {
		s += "…"
	}
	return s
}
