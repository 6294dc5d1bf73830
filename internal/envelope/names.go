package envelope

import (
	"crypto/sha256"
	"encoding/hex"
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
