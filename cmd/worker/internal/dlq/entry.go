package dlq

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// Entry is one dead letter. All but its sequence, time and size was written by
// others, and is to be escaped where it is shown.
type Entry struct {
	Sequence uint64    `json:"sequence"` // in the stream of the dead letters
	Died     time.Time `json:"died"`
	Tenant   string    `json:"tenant"`
	Reason   string    `json:"reason"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	Size     int       `json:"size"` // of the payload in the entry

	Subject        string    `json:"subject"` // of the message as it was published
	Stream         string    `json:"stream"`
	OriginSequence uint64    `json:"origin_sequence"`
	Published      time.Time `json:"published"`

	// AtOrigin is that the payload or the headers did not fit into the entry, and are
	// only in Stream.
	AtOrigin bool `json:"at_origin,omitempty"`
	// Foreign is that this is no record of Spillway. It cannot be replayed.
	Foreign bool `json:"foreign,omitempty"`
}

// Letter is all of one dead letter.
type Letter struct {
	Entry
	Stack  string      `json:"stack,omitempty"`
	Header nats.Header `json:"header"` // as the message was published
	Data   []byte      `json:"data"`
	// Gone says why there is no payload where it should be AtOrigin.
	Gone string `json:"gone,omitempty"`

	origin          envelope.Origin
	headersAtOrigin bool
}

func entryOf(m scan.Message) Entry {
	_, origin, ok := envelope.Restore(m.Header)
	attempts, _ := strconv.Atoi(m.Header.Get(envelope.HeaderAttempts)) // 0 if it is not told
	return Entry{
		Sequence:       m.Sequence,
		Died:           m.Time,
		Tenant:         m.Header.Get(envelope.HeaderTenant),
		Reason:         m.Header.Get(envelope.HeaderReason),
		Error:          m.Header.Get(envelope.HeaderError),
		Attempts:       attempts,
		Size:           m.Size,
		Subject:        origin.Subject,
		Stream:         origin.Stream,
		OriginSequence: origin.Sequence,
		Published:      origin.Time,
		AtOrigin:       m.Header.Get(envelope.HeaderPayload) == envelope.AtOrigin || m.Header.Get(envelope.HeaderHeaders) == envelope.AtOrigin,
		Foreign:        !ok,
	}
}

func letterOf(m scan.Message) Letter {
	user, origin, ok := envelope.Restore(m.Header)
	if !ok {
		user = m.Header
	}
	stack := strings.ReplaceAll(m.Header.Get(envelope.HeaderStack), `\n`, "\n") // as HeaderValue wrote it
	headers := m.Header.Get(envelope.HeaderHeaders) == envelope.AtOrigin
	return Letter{Entry: entryOf(m), Stack: stack, Header: user, Data: m.Data, origin: origin, headersAtOrigin: headers}
}
