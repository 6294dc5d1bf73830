package ops

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// parsePatch reads the body of a change, or says all that is wrong with it, in its words.
func parsePatch(body []byte) (patch consumer.TenantPatch, ttl time.Duration, err error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var seen []string
	err = eachKey(body, func(key string, value json.RawMessage) {
		if slices.Contains(seen, key) {
			wrong("%s is given twice", key)
			return
		}
		seen = append(seen, key)
		bad := ""
		switch key {
		case "paused":
			patch.Paused, bad = read[bool](value, "true or false")
		case "weight":
			patch.Weight, bad = read[float64](value, "a number")
		case "max_in_flight":
			patch.MaxInFlight, bad = read[int](value, "a whole number")
		case "rate":
			patch.Rate, bad = readRate(value)
		case "ttl":
			ttl, bad = readTTL(value)
		default:
			wrong("unknown key %.64q, must be one of paused, weight, max_in_flight, rate and ttl", key)
		}
		if bad != "" {
			wrong("%s is %.64s, must be %s", key, value, bad)
		}
	})
	switch {
	case err != nil:
		return patch, ttl, err
	case len(errs) == 0 && patch == (consumer.TenantPatch{}):
		wrong("nothing is to be set: give one at least of paused, weight, max_in_flight and rate")
	case patch != (consumer.TenantPatch{}):
		if e := patch.Validate("patch"); e != nil {
			wrong("%s", inKeys(e))
		}
	}
	return patch, ttl, errors.Join(errs...)
}

// eachKey calls f with what a JSON object holds, in order.
func eachKey(body []byte, f func(key string, value json.RawMessage)) error {
	d := json.NewDecoder(bytes.NewReader(body))
	start, err := d.Token()
	if err == nil && start != json.Delim('{') {
		return errors.New(`the body must be a JSON object, like {"paused": true, "ttl": "10m"}`)
	}
	for err == nil && d.More() {
		var key json.Token
		if key, err = d.Token(); err != nil {
			break
		}
		var value json.RawMessage
		if err = d.Decode(&value); err == nil {
			f(fmt.Sprint(key), value)
		}
	}
	if err == nil {
		_, err = d.Token() // the end of the object
	}
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			return fmt.Errorf("the body must be one JSON object, and goes on after byte %d", d.InputOffset())
		}
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return fmt.Errorf("the body is not JSON, at byte %d: %w", d.InputOffset(), err)
}

// read reads a value, or returns what it must be.
func read[T any](value json.RawMessage, must string) (v *T, bad string) {
	if err := json.Unmarshal(value, &v); err != nil || v == nil {
		return nil, must
	}
	return v, ""
}

func readRate(value json.RawMessage) (*limiter.Rate, string) {
	const must = `a string like "100/s", "5/m" or "1/h", or "" for no bound`
	text, bad := read[string](value, must)
	if bad != "" || *text == "" {
		return new(limiter.Rate), bad
	}
	r, err := limiter.ParseRate(*text)
	if err != nil {
		return nil, must
	}
	return &r, ""
}

func readTTL(value json.RawMessage) (time.Duration, string) {
	must := fmt.Sprintf(`a string like "10m" or "1h30m", above 0 and at most "%v"`, consumer.MaxTTL)
	text, bad := read[string](value, must)
	if bad != "" {
		return 0, must
	}
	ttl, err := time.ParseDuration(*text)
	if err != nil || ttl <= 0 || ttl > consumer.MaxTTL {
		return 0, must
	}
	return ttl, ""
}
