package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestASignalEndsACommandThatWaitsForNATS(t *testing.T) {
	server := consumertest.NewServer(t, consumertest.WithListen())
	conn, err := nats.Connect(server.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	asked := make(chan *nats.Msg, 1)
	// A domain that does not exist: nobody else listens, and we do not answer.
	if _, err := conn.ChanSubscribe("$JS.silent.API.STREAM.INFO.JOBS", asked); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		w := start(t, fileWith("http://h"), "lag", "--set", "nats.url="+server.URL(t), "--set", "nats.domain=silent")
		<-asked
		w.signal(sig)
		if code := w.exit(); code != exitFailed || !strings.Contains(w.errors(), "ended by a signal, before it was done") {
			t.Errorf("%v: exit code is %d: %s", sig, code, w.errors())
		}
	}
}
