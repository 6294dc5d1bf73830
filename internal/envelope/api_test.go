package envelope_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestTheAPIPrefixFollowsTheOptionsOfTheContext(t *testing.T) {
	for want, o := range map[string]jetstream.JetStreamOptions{
		"$JS.API.":     {},
		"$JS.hub.API.": {Domain: "hub"},
		"acct.api.":    {APIPrefix: "acct.api."},
		"plain.":       {APIPrefix: "plain"},
	} {
		if got := envelope.APIPrefix(o); got != want {
			t.Errorf("%+v: %q, want %q", o, got, want)
		}
	}
}
