package handlers

import (
	"testing"
	"time"
)

func TestRetryAfterIsUnderstoodInSecondsAndAsADate(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                                 0,
		"3":                                3 * time.Second,
		" 3 ":                              3 * time.Second,
		"0":                                0,
		"-1":                               0,
		"1.5":                              0,
		"soon":                             0,
		"99999999999999999":                time.Hour,
		"99999999999999999999999999":       0,
		"Thu, 01 Jan 2026 12:00:07 GMT":    7 * time.Second,
		"Thu, 01 Jan 2026 11:00:00 GMT":    0,
		"Fri, 01 Jan 2027 12:00:00 GMT":    time.Hour,
		"Thursday, 01-Jan-26 12:00:09 GMT": 9 * time.Second,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q means %v, want %v", value, got, want)
		}
	}
}
