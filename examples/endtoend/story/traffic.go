package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

const (
	inFlight      = 512 // requests to the gateway at once
	clientTimeout = 5 * time.Second
)

// clients are the tenants. They post when the schedule says, whatever the answers: that of
// an overloaded gateway does not make them any fewer. A refused request is not repeated.
type clients struct {
	url  string // of the gateway
	http *http.Client
	book *book
}

func newClients(url string, b *book) *clients {
	return &clients{url: url, book: b, http: &http.Client{Transport: newTransport(inFlight)}}
}

// newTransport keeps so many connections to one host.
func newTransport(connections int) *http.Transport {
	return &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}
}

// play posts what is posted in a scene of that length, until it is over or ctx ends, and
// returns how late one request in a hundred was sent. The flooder and the quiet tenants have
// schedules of their own.
func (c *clients) play(ctx context.Context, s Scene, length time.Duration) (late time.Duration, err error) {
	flood, err := load.New(c.config(s.stages(length), flooder))
	if err != nil {
		return 0, err
	}
	rate := quietRate * float64(len(quiet()))
	others, err := load.New(c.config([]load.Stage{{From: rate, To: rate, For: length}}, quiet()...))
	if err != nil {
		return 0, err
	}
	var lates [2]time.Duration
	var both sync.WaitGroup
	for i, r := range []*load.Runner{flood, others} {
		both.Go(func() { lates[i] = r.Run(ctx, load.Func(c.post)).Lag.Quantile(0.99) })
	}
	both.Wait()
	return max(lates[0], lates[1]), nil
}

func (c *clients) config(stages []load.Stage, names ...string) load.Config {
	return load.Config{
		Stages: stages, Arrivals: load.Poisson, Seed: 1, Tenants: load.Tenants{Names: names},
		MaxInFlight: inFlight, Timeout: clientTimeout,
	}
}

// post posts one job.
func (c *clients) post(ctx context.Context, r load.Request) error {
	id := c.book.sent(r.Tenant)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/jobs/"+r.Tenant+"/invoice", strings.NewReader(`{"story":true}`))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", id)
	resp, err := c.http.Do(req)
	if err != nil {
		c.book.answered(r.Tenant, 0)
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	c.book.answered(r.Tenant, resp.StatusCode)
	if err = errors.Join(err, resp.Body.Close()); err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("the gateway answers %s", resp.Status)
	}
	return err
}
