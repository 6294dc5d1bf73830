package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// A caller calls a downstream by HTTP, as a handler would.
type caller struct {
	url    string
	client *http.Client
}

// callerConnections is how many connections it keeps.
const callerConnections = 256

func newCaller(url string) *caller {
	transport := &http.Transport{MaxIdleConns: callerConnections, MaxIdleConnsPerHost: callerConnections}
	return &caller{url: url, client: &http.Client{Transport: transport}}
}

func (c *caller) close() { c.client.CloseIdleConnections() }

var errStatus = errors.New("the downstream answers")

// call calls it once. A 429 is an overload, as to the handlers of `worker run`.
func (c *caller) call(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end, or is of no use
	_, _ = io.Copy(io.Discard, response.Body)    // so that the connection can be used again
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusTooManyRequests:
		after, _ := strconv.Atoi(response.Header.Get("Retry-After")) // none: 0, a backoff that grows
		return consumer.Overloaded(fmt.Errorf("%w %s", errStatus, response.Status), time.Duration(after)*time.Second)
	}
	return fmt.Errorf("%w %s", errStatus, response.Status)
}
