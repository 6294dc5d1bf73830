package ops_test

import (
	"context"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/consumer/ops"
)

// work runs a Consumer behind its page.
func work(t *testing.T, s *consumertest.Server, h consumer.Handler) (c *consumer.Consumer, url string) {
	t.Helper()
	c, err := consumer.New(s.JetStream(t), consumer.Config{Stream: "JOBS", Durable: "worker", Tenant: consumer.SubjectToken(2)}, h)
	if err != nil {
		t.Fatal(err)
	}
	page, err := ops.New(ops.Config{Consumer: c, Listen: local, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(page)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	t.Cleanup(func() { // the context of t is over
		if err := <-ended; err != nil {
			t.Errorf("Run returned %v", err)
		}
		server.CloseClientConnections()
		server.Close()
	})
	return c, server.URL + "/"
}

func TestAPageChangesATenantOfAWorker(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	b.lax = true // refusals are part of this
	s := consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	js := s.JetStream(t)
	publish := func(n int) {
		for range n {
			if _, err := js.Publish(t.Context(), "jobs.acme.x", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	var handled atomic.Int64
	c, url := work(t, s, consumer.HandlerFunc(func(context.Context, *consumer.Message) error {
		handled.Add(1)
		return nil
	}))
	publish(10)
	b.open(url)
	e := editor{b, "acme"}

	e.press("Pause")
	e.fill("token", "wrong")
	e.submit()
	e.told("token", "This is not the worker's token. Nothing was changed.")
	e.fill("token", token)
	e.submit()
	e.done()
	e.shows(`^paused until it is resumed$`)
	before := handled.Load()
	publish(5)
	e.await(e.row() + `.querySelector(".queue").textContent === "5"`)
	if now := handled.Load(); now != before || !c.Tenant("acme").Paused {
		t.Errorf("%d messages of a tenant that is paused were handled", now-before)
	}

	e.press("Change")
	e.fill("weight", "0")
	e.fill("rate", "often")
	e.submit()
	e.told("weight", "weight is 0, must be between 0.001 and 1000")
	e.told("rate", `rate is "often", must be a string like`)
	e.fill("weight", "2.5")
	e.fill("max_in_flight", "3")
	e.fill("rate", "50/s")
	e.fill("ttl", "10m")
	e.submit()
	e.done()
	e.shows(`^paused until it is resumed set by hand: weight 2.5, at most 3 in flight, rate 50/s until \d+:\d+:\d+$`)
	is := c.Tenant("acme")
	if o := is.Override; is.Weight != 2.5 || is.MaxInFlight != 3 || is.Rate != "50/s" || o.Rate.Until.IsZero() || o.Weight.Until != o.Rate.Until || !o.Paused.Until.IsZero() {
		t.Errorf("the tenant is %+v, and set of it %+v", is, o)
	}

	e.press("Resume") // the token is kept
	e.await(e.row() + `.querySelector(".queue").textContent === "0"`)
	e.shows(`(flowing|idle) set by hand: weight 2.5`)
	if now := handled.Load(); now != 15 {
		t.Errorf("%d messages were handled, want 15", now)
	}

	s.Stop(t)
	e.press("Change")
	b.do(chromedp.Click("#edit [name=reset]"))
	e.told("answer", "The worker refused it: set tenant")
	s.Start(t)
	b.await(`document.getElementById("verdict-panel").dataset.state !== "broken"`)
	b.do(chromedp.Click("#edit [name=reset]"))
	e.done()
	e.await(`!` + e.row() + `.textContent.includes("set by hand")`)
	if is := c.Tenant("acme"); is.Override != nil || is.Weight != 1 || is.Rate != "" {
		t.Errorf("the tenant is %+v, and set of it %+v", is, is.Override)
	}
}
