package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRest bounds how long a message rests because a downstream says so: it is held in
// memory meanwhile.
const maxRest = time.Hour

// retryAfter returns how long after now a Retry-After asks to wait, 0 if it does not.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRest/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(at.Sub(now), 0), maxRest)
	}
	return 0
}
