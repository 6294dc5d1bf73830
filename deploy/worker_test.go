package deploy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

// startWorker starts the worker of the compose file on a host, with a NATS and a downstream
// here, gives it more than its queues hold, and returns where its metrics are.
func startWorker(t *testing.T, host string) string {
	t.Helper()
	d, err := fakedownstream.New(fakedownstream.Config{})
	if err != nil {
		t.Fatal(err)
	}
	downstream, err := fakedownstream.Start("127.0.0.1:0", d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(downstream.Close)
	nats := consumertest.NewServer(t, consumertest.WithListen())
	nats.Stream(t, "JOBS", "jobs.>")
	js := nats.JetStream(t)
	for i := range 1000 {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("jobs.tenant-%d.invoice", i%3), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	address := freeAddress(t)
	config := adapted(t, workerConfig,
		"nats://nats:4222", nats.URL(t), "http://downstream:9000", downstream.URL(), "redis:6379", freeAddress(t),
		"0.0.0.0:8080", strings.Replace(address, "127.0.0.1", host, 1), "/run/secrets/ops_token", absolute(t, "compose/demo.token"))
	start(t, worker(t), "run", "--config", config)
	eventually(t, func() error { return status("http://"+address+"/readyz", http.StatusOK) })
	return address
}

func status(address string, want int) error {
	resp, err := http.Get(address)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		return fmt.Errorf("%s answers %s, want %d", address, resp.Status, want)
	}
	return nil
}
