package envelope

import (
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// APIPrefix is what the subjects of the JetStream API begin with, dot included, for
// those that speak it themselves.
func APIPrefix(o jetstream.JetStreamOptions) string {
	prefix := o.APIPrefix
	if o.Domain != "" {
		prefix = "$JS." + o.Domain + ".API"
	}
	if prefix == "" {
		prefix = jetstream.DefaultAPIPrefix
	}
	return strings.TrimSuffix(prefix, ".") + "."
}
