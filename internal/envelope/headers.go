package envelope

import (
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The headers of our records; see the package comment.
const (
	HeaderPrefix        = "Spillway-"
	HeaderOriginSubject = "Spillway-Origin-Subject"
	HeaderStream        = "Spillway-Stream"
	HeaderSequence      = "Spillway-Sequence"
	HeaderTime          = "Spillway-Time"
	HeaderAttempt       = "Spillway-Attempt"
	HeaderNotBefore     = "Spillway-Not-Before"
	HeaderTenant        = "Spillway-Tenant"
	HeaderReason        = "Spillway-Reason"
	HeaderError         = "Spillway-Error"
	HeaderStack         = "Spillway-Stack"
	HeaderAttempts      = "Spillway-Attempts"
	HeaderPayload       = "Spillway-Payload"
	HeaderHeaders       = "Spillway-Headers"

	carriedPrefix = "Spillway-Carried-"
	hexPrefix     = carriedPrefix + "Hex-"
	natsPrefix    = "Nats-"
)

// AtOrigin is the value of HeaderPayload or HeaderHeaders on a dead letter that the
// payload or the headers did not fit into: they are still in the origin's stream.
const AtOrigin = "at-origin"

// MaxHeaderBytes is the most that a server takes of a message's headers, all together.
const MaxHeaderBytes = 65535

// Origin says where a message was first read from.
type Origin struct {
	Subject  string
	Stream   string
	Sequence uint64
	Time     time.Time // when it was published
}

// Clean returns h without the Spillway-* headers, which nobody but Spillway may
// set: on a message that a user published they are forged. It returns h itself
// when there is nothing to strip.
func Clean(h nats.Header) nats.Header {
	forged := false
	for k := range h {
		if hasPrefixFold(k, HeaderPrefix) {
			forged = true
			break
		}
	}
	if !forged {
		return h
	}
	h = maps.Clone(h)
	maps.DeleteFunc(h, func(k string, _ []string) bool { return hasPrefixFold(k, HeaderPrefix) })
	return h
}

// Carry returns the headers of a copy of a message: those of the origin with its
// Nats-* headers escaped, and where it came from.
func Carry(user nats.Header, o Origin) nats.Header {
	h := make(nats.Header, len(user)+8)
	for k, v := range user {
		h[carriedKey(k)] = v
	}
	h.Set(HeaderOriginSubject, o.Subject)
	h.Set(HeaderStream, o.Stream)
	h.Set(HeaderSequence, strconv.FormatUint(o.Sequence, 10))
	h.Set(HeaderTime, FormatTime(o.Time))
	return h
}

// carriedKey is the key under which a header of the origin travels. Keys that a server
// acts on are escaped, and so are those that a client refuses to publish though
// another has: a copy could never be made.
func carriedKey(k string) string {
	switch {
	case !publishable(k):
		return hexPrefix + hex.EncodeToString([]byte(k))
	case hasPrefixFold(k, natsPrefix):
		return carriedPrefix + k
	}
	return k
}

// originKey is the inverse of carriedKey. ok is false for what is not of the origin:
// ours, or set by the server on the way.
func originKey(k string) (key string, ok bool) {
	if encoded, found := strings.CutPrefix(k, hexPrefix); found {
		raw, err := hex.DecodeString(encoded)
		return string(raw), err == nil && !publishable(string(raw)) && !hasPrefixFold(string(raw), HeaderPrefix)
	}
	if carried, found := strings.CutPrefix(k, carriedPrefix); found && hasPrefixFold(carried, natsPrefix) {
		return carried, true
	}
	return k, !hasPrefixFold(k, HeaderPrefix) && !hasPrefixFold(k, natsPrefix)
}

// publishable reports whether the Go client publishes a header with this key.
func publishable(k string) bool {
	for i := range len(k) {
		if c := k[i]; c <= ' ' || c > '~' || strings.IndexByte("\"()/,:;<=>?@[\\]{}", c) >= 0 {
			return false
		}
	}
	return k != ""
}

// CarriedSize is what the headers of an origin take on the wire in a copy.
func CarriedSize(user nats.Header) int {
	n := 0
	for k, values := range user {
		for _, v := range values {
			n += len(carriedKey(k)) + len(v) + len(": \r\n")
		}
	}
	return n
}

// Restore is the inverse of Carry: the headers as the origin's publisher set them,
// and where it came from. ok is false when h is not that of a record of ours.
func Restore(h nats.Header) (user nats.Header, o Origin, ok bool) {
	o.Subject, o.Stream = h.Get(HeaderOriginSubject), h.Get(HeaderStream)
	seq, err := strconv.ParseUint(h.Get(HeaderSequence), 10, 64)
	if err != nil || o.Subject == "" || o.Stream == "" {
		return nil, Origin{}, false
	}
	o.Sequence = seq
	o.Time, _ = time.Parse(time.RFC3339Nano, h.Get(HeaderTime))
	for k, v := range h {
		key, ok := originKey(k)
		if !ok {
			continue
		}
		if user == nil {
			user = make(nats.Header, len(h))
		}
		user[key] = v
	}
	return user, o, true
}

// Attempt returns the number of the next run of a copy, at least 1.
func Attempt(h nats.Header) int {
	n, err := strconv.Atoi(h.Get(HeaderAttempt))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// SetAttempt writes the number of the next run and when it is due; a zero
// notBefore means now.
func SetAttempt(h nats.Header, attempt int, notBefore time.Time) {
	h.Set(HeaderAttempt, strconv.Itoa(attempt))
	if notBefore.IsZero() {
		h.Del(HeaderNotBefore)
		return
	}
	h.Set(HeaderNotBefore, FormatTime(notBefore))
}

// NotBefore returns when the next run of a copy is due; zero means now.
func NotBefore(h nats.Header) time.Time {
	t, err := time.Parse(time.RFC3339Nano, h.Get(HeaderNotBefore))
	if err != nil {
		return time.Time{}
	}
	return t
}

// MsgID is the Nats-Msg-Id under which a message is moved. It names the message
// that is copied, not its origin, so that each further move of a copy has an id of
// its own; and it holds the time, without which the first messages of a stream that
// was deleted and made again would be taken for duplicates.
func MsgID(stream, durable string, seq uint64, published time.Time) string {
	b := make([]byte, 0, len(stream)+len(durable)+2*20+3)
	b = append(b, stream...)
	b = append(b, ':')
	b = append(b, durable...)
	b = append(b, ':')
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, ':')
	b = strconv.AppendInt(b, published.UnixNano(), 10)
	return string(b)
}

// FormatTime writes a time as our headers do: RFC 3339 with nanoseconds, UTC.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// HeaderValue makes s fit to be the value of a header: one line of valid UTF-8 of
// at most limit bytes.
func HeaderValue(s string, limit int) string {
	s = strings.ToValidUTF8(s, "�")
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r\n", `\n`, "\n", `\n`, "\r", `\r`).Replace(s)
	}
	s = strings.TrimSpace(s)
	if len(s) > limit {
		s = strings.TrimSpace(strings.ToValidUTF8(s[:max(limit, 0)], ""))
	}
	return s
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
