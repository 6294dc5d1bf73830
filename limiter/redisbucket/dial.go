package redisbucket

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Dial returns a client for the Redis at rawURL, as go-redis takes such URLs, set up so that
// calls end with their contexts. It does not connect; New's Limiter does when it needs to.
//
//	redis://user:password@host:6379/0             one server
//	rediss://host:6380                            the same over TLS
//	unix:///run/redis.sock?db=0                   a socket
//	redis://host1:6379?addr=host2:6379            a cluster: one addr more at least
//	redis+cluster://host:6379                     a cluster by one of its nodes; rediss+cluster
//	redis://sentinel1:26379/0?master_name=main&addr=sentinel2:26379
//	                                              sentinels; rediss for TLS to the servers
//
// All other options of go-redis can be given as parameters: pool_size=20, dial_timeout=1s,
// skip_verify=true. The error of a URL that is invalid does not show what is in it, which may
// be a password.
func Dial(rawURL string) (redis.UniversalClient, error) {
	open, err := parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("redisbucket: Dial: %w", err)
	}
	return open(), nil
}

// CheckURL returns the error of Dial, without a client.
func CheckURL(rawURL string) error {
	if _, err := parse(rawURL); err != nil {
		return fmt.Errorf("redisbucket: %w", err)
	}
	return nil
}

// A dialer makes the client that a URL is about.
type dialer func() redis.UniversalClient

func parse(rawURL string) (dialer, error) {
	open, err := parseAny(rawURL)
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err // without the URL
	}
	return open, err
}

func parseAny(rawURL string) (dialer, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	scheme, isCluster := strings.CutSuffix(u.Scheme, "+cluster")
	if isCluster {
		rawURL = scheme + rawURL[len(u.Scheme):]
	}
	query := u.Query()
	switch {
	case query.Has("master_name"):
		return parseSentinel(rawURL)
	case isCluster || query.Has("addr"):
		return parseCluster(rawURL)
	}
	o, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.DialerRetries = true, 1
	return func() redis.UniversalClient { return redis.NewClient(o) }, nil
}

// One attempt to dial is enough: whoever needs the connection has given up before the next.

func parseSentinel(rawURL string) (dialer, error) {
	o, err := redis.ParseFailoverURL(rawURL)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.DialerRetries = true, 1
	return func() redis.UniversalClient { return redis.NewFailoverClient(o) }, nil
}

func parseCluster(rawURL string) (dialer, error) {
	o, err := redis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled, o.DialerRetries = true, 1
	return func() redis.UniversalClient { return redis.NewClusterClient(o) }, nil
}
