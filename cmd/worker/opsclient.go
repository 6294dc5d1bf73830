package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds an answer of a worker: that of some ten thousand tenants.
const maxAnswer = 64 << 20

// opsFlags are those of the commands that talk to a running worker.
type opsFlags struct {
	settings

	Ops       string        `placeholder:"URL" help:"Where the worker's operations endpoint is; default: ops.listen of the config, which is not read otherwise."`
	TokenFile string        `placeholder:"FILE" help:"The file of its token; default: ops.token_file, if the config is read."`
	Timeout   time.Duration `default:"20s" help:"How long to wait for the answer (default ${default})."`
	JSON      bool          `help:"As JSON."`
}

// Validate is called by kong.
func (o *opsFlags) Validate() error {
	if o.Timeout <= 0 {
		return fmt.Errorf("--timeout is %v, must be positive", o.Timeout)
	}
	return nil
}

// call asks a worker for what is at path, and reads its answer into answer. Parts of path
// are escaped by who calls. body, if not nil, is sent as JSON.
func (o *opsFlags) call(p *process, method, path string, body, answer any) error {
	base, token, err := o.worker(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Timeout)
	defer cancel()
	req, err := request(ctx, method, strings.TrimSuffix(base.String(), "/")+path, body)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return askError(err, base, o.Timeout, o.Ops, o.Config)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", base.Redacted(), err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(base, resp, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s answers with what is no state of tenants: %w", base.Redacted(), err)
	}
	return nil
}

// worker returns where the worker is, and its token.
func (o *opsFlags) worker(p *process) (base *url.URL, token string, err error) {
	base, cfg, err := opsBase(p, &o.settings, o.Ops)
	if err != nil {
		return nil, "", err
	}
	switch {
	case o.TokenFile != "":
		token, err = readToken("--token-file", o.TokenFile)
	case cfg != nil:
		token, err = readToken("ops.token_file", cfg.Ops.TokenFile)
	}
	return base, token, err
}

// An absentError is that nobody is where a worker was asked.
type absentError struct {
	base *url.URL
	from string // what named it
	err  error
}

func (e *absentError) Error() string {
	return fmt.Sprintf("no worker is at %s: %v", e.base.Redacted(), e.err)
}

func (e *absentError) Unwrap() error { return e.err }

// hint says what may be the matter.
func (e *absentError) hint() string {
	return "Is the worker running, and does it listen there? " + e.from
}

// askError returns what is to be said of a request to base that has no answer. ops is --ops, and
// file the config that counts without it.
func askError(err error, base *url.URL, within time.Duration, ops, file string) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s does not answer within %v", base.Redacted(), within)
	}
	failed, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err // it answers, and says no
	}
	err = failed.Err // without the URL, which is that of base and more
	if dial, ok := errors.AsType[*net.OpError](err); !ok || dial.Op != "dial" {
		return fmt.Errorf("%s: %w", base.Redacted(), err)
	}
	from := "The address is from --ops."
	if ops == "" {
		from = "The address is ops.listen of " + file + "; --ops gives another."
	}
	return &absentError{base: base, from: from, err: err}
}

func request(ctx context.Context, method, address string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, content)
	if err != nil {
		return nil, &usageError{err}
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// refusal is the error for an answer that is not 200.
func refusal(base *url.URL, resp *http.Response, text []byte) error {
	answer := strings.TrimSpace(string(text[:min(len(text), maxHealth)]))
	err := fmt.Errorf("%s answers %s: %s", base.Redacted(), resp.Status, printableLines(answer))
	switch resp.StatusCode {
	case http.StatusBadRequest:
		return &usageError{err}
	case http.StatusUnauthorized:
		return fmt.Errorf("%w; give the token of its ops.token_file with --token-file FILE", err)
	case http.StatusForbidden:
		return fmt.Errorf("%w; the worker needs an ops.token_file for this", err)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Errorf("%w; is that the operations endpoint of a worker, and of this version?", err)
	}
	return err
}
