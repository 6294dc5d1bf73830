package envelope

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// OverflowStream is the default name of the stream that holds copies.
func OverflowStream(stream string) string { return stream + "_OVERFLOW" }

// DeadLetterStream is the default name of the stream that holds dead letters.
func DeadLetterStream(stream string) string { return stream + "_DEAD" }

// RetrySubject is where messages wait for their next attempt.
func RetrySubject(overflow, durable string) string { return overflow + "." + durable + ".retry" }

// SuspectSubject is where messages go that were delivered too often without an
// outcome.
func SuspectSubject(overflow, durable string) string { return overflow + "." + durable + ".suspect" }

// RetryConsumer and SuspectConsumer name the durables of those lanes on the
// overflow stream. A suffix on every name keeps durables apart: no durable's lane
// can be called like another durable's lane.
func RetryConsumer(durable string) string { return durable + "_retry" }

// SuspectConsumer names the durable of the suspect lane; see RetryConsumer.
func SuspectConsumer(durable string) string { return durable + "_suspect" }

// DeadLetterSubject is where the dead letters of one tenant go.
func DeadLetterSubject(deadLetter, durable, tenant string) string {
	return deadLetter + "." + durable + "." + Token(tenant)
}

// SpillSubjects is where the overflow of all queues of a durable goes.
func SpillSubjects(overflow, durable string) string { return overflow + "." + durable + ".spill.>" }

// A Spill is the overflow of one queue, that of a tenant for a downstream, both given as
// tokens; or its front, which holds what is older than all of the rest.
type Spill struct {
	Downstream, Tenant string
	Front              bool
}

// frontToken is the last of the subject of a front, behind the tenant.
const frontToken = "front"

// tokens are the end of the subject.
func (s Spill) tokens() string {
	tokens := s.Downstream + "." + s.Tenant
	if s.Front {
		tokens += "." + frontToken
	}
	return tokens
}

// Subject is where the copies go.
func (s Spill) Subject(overflow, durable string) string {
	return overflow + "." + durable + ".spill." + s.tokens()
}

// ParseSpillSubject is the inverse of [Spill.Subject].
func ParseSpillSubject(overflow, durable, subject string) (s Spill, ok bool) {
	rest, ok := strings.CutPrefix(subject, overflow+"."+durable+".spill.")
	if !ok {
		return Spill{}, false
	}
	tokens := strings.Split(rest, ".")
	s.Front = len(tokens) == 3 && tokens[2] == frontToken
	if len(tokens) != 2 && !s.Front || slices.Contains(tokens, "") {
		return Spill{}, false
	}
	s.Downstream, s.Tenant = tokens[0], tokens[1]
	return s, true
}

// Consumer names the consumer of the copies. Tokens may be long and the names of consumers
// may not, so it is their hash.
func (s Spill) Consumer(durable string) string {
	sum := sha256.Sum256([]byte(s.tokens()))
	return durable + "_spill_" + hex.EncodeToString(sum[:12])
}

// noTenant is the token of the empty name.
const noTenant = "_"

// maxToken bounds an escaped name. Longer ones keep their beginning and get a hash,
// so that two names never share a token.
const maxToken = 128

// Token returns name as one subject token that holds nothing a server or a shell
// gives a meaning to: letters, digits, - and _ as they are, every other byte as
// %XX; the empty name as _, and the name _ as %5F. Tokens are for routing; the name
// itself travels in a header.
func Token(name string) string {
	if name == "" {
		return noTenant
	}
	if len(name) <= maxToken && isSafe(name) {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; isSafeByte(c) && name != noTenant {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
		if b.Len() > maxToken {
			sum := sha256.Sum256([]byte(name))
			return b.String()[:maxToken-40] + "%%" + hex.EncodeToString(sum[:16])
		}
	}
	return b.String()
}

func isSafe(s string) bool {
	for i := range len(s) {
		if !isSafeByte(s[i]) {
			return false
		}
	}
	return s != noTenant
}

func isSafeByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// Name is the inverse of Token, as far as it has one: ok is false for the token of a
// name too long to be told from it.
func Name(token string) (name string, ok bool) {
	if token == noTenant {
		return "", true
	}
	if !strings.Contains(token, "%") {
		return token, true
	}
	b := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		if token[i] != '%' {
			b = append(b, token[i])
			continue
		}
		if i+3 > len(token) {
			return "", false
		}
		raw, err := hex.DecodeString(token[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b = append(b, raw[0])
		i += 2
	}
	return string(b), true
}
