package consumer

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
)

// Message is one message as its handler sees it: plain data. It must not be changed:
// the copy for the next attempt is made from it. What is told is told of the message that was published, also when what is
// handled is a copy of it that waited elsewhere for its next attempt.
type Message struct {
	Subject   string
	Tenant    string
	Stream    string
	Sequence  uint64
	Published time.Time
	// Attempt is the number of this run, from 1.
	Attempt int
	// Deliveries is JetStream's count. It also rises by crashes and hand-backs.
	Deliveries int
	Header     nats.Header
	Data       []byte
}

// TenantFunc finds whose work a message is; "" means that it cannot be told, and
// the message is dead-lettered. It is called for each message, from several
// goroutines, and must not block.
type TenantFunc func(subject string, header nats.Header) string

// SubjectToken takes the tenant from token n of the subject, counted from 1.
func SubjectToken(n int) TenantFunc {
	return func(subject string, _ nats.Header) string {
		for range n - 1 {
			_, rest, found := strings.Cut(subject, ".")
			if !found {
				return ""
			}
			subject = rest
		}
		if n < 1 {
			return ""
		}
		token, _, _ := strings.Cut(subject, ".")
		return token
	}
}

// Header takes the tenant from the header called name.
func Header(name string) TenantFunc {
	return func(_ string, header nats.Header) string { return header.Get(name) }
}

// FixedTenant says that every message is of one tenant.
func FixedTenant(tenant string) TenantFunc {
	return func(string, nats.Header) string { return tenant }
}

// Or takes the tenant that f finds, else fallback.
func (f TenantFunc) Or(fallback string) TenantFunc {
	return func(subject string, header nats.Header) string {
		if tenant := f(subject, header); tenant != "" {
			return tenant
		}
		return fallback
	}
}

// maxTenantBytes bounds a tenant's name. Names are kept in memory, shown and
// written into headers.
const maxTenantBytes = 256

// validTenant reports whether a name that a stranger chose is fit to be kept and
// shown: bounded, printable, valid UTF-8.
func validTenant(name string) bool {
	if len(name) > maxTenantBytes {
		return false
	}
	if isPrintableASCII(name) {
		return true
	}
	return utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
}

// isPrintableASCII is the quick answer for almost every name.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
