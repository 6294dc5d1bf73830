package envelope

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// StateBucket is the name of the key-value bucket of a stream's durables. A bucket may
// be called less than a stream, whose hash then stands for it.
func StateBucket(stream string) string {
	if !isSafe(stream) {
		sum := sha256.Sum256([]byte(stream))
		stream = "spillway_" + hex.EncodeToString(sum[:12])
	}
	return stream + "_STATE"
}

// PolicyKeys are the keys of all policies of a durable, for a watch.
func PolicyKeys(durable string) string { return durable + ".tenant.*" }

// PolicyKey is where the policy of one tenant is.
func PolicyKey(durable, tenant string) string {
	return durable + ".tenant." + strings.ReplaceAll(Token(tenant), "%", "=") // a key holds no %
}

// PolicyVersion is the version of the records. It changes only when a reader of the one
// before could not do with a record, which is not within one minor version.
const PolicyVersion = 1

// ErrLaterVersion is that of a record that only a later Spillway can read.
var ErrLaterVersion = errors.New("envelope: the record is of a later version")

// Policy is what was set of one tenant while the processes run:
//
//	{"version":1,"tenant":"acme","paused":{"value":true,"until":"2026-01-02T15:04:05Z"},
//	 "weight":{"value":2},"max_in_flight":{"value":4},"rate":{"value":{"events":100,"per_ns":1000000000}}}
//
// What is not in it is as the config says. Fields that a reader does not know, or cannot read,
// it ignores and keeps when it writes the record again.
type Policy struct {
	Tenant      string
	Paused      *Term[bool]
	Weight      *Term[float64]
	MaxInFlight *Term[int]
	Rate        *Term[Rate]

	kept map[string]json.RawMessage
}

// Term is a value and until when it counts; the zero time: until it is changed.
type Term[T any] struct {
	Value T         `json:"value"`
	Until time.Time `json:"until,omitzero"`
}

// Rate is so many events in a time, and in bursts of so many; 0: no rate, or the default burst.
type Rate struct {
	Events float64       `json:"events"`
	Per    time.Duration `json:"per_ns"`
	Burst  int           `json:"burst,omitempty"`
}

// The fields of a record.
const (
	fieldVersion = "version"
	fieldTenant  = "tenant"
	fieldPaused  = "paused"
	fieldWeight  = "weight"
	fieldCap     = "max_in_flight"
	fieldRate    = "rate"
)

// ParsePolicy reads a record. With fields that it cannot read the error says which, and
// the Policy holds the others; with any other error it is of no use.
func ParsePolicy(data []byte) (Policy, error) {
	var p Policy
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return p, fmt.Errorf("envelope: the record of a policy is no JSON object: %.64q", data)
	}
	version := 0
	if err := json.Unmarshal(fields[fieldVersion], &version); err != nil || version < 1 {
		return p, fmt.Errorf("envelope: the record of a policy has version %.16s, must have %d", fields[fieldVersion], PolicyVersion)
	}
	if version > PolicyVersion {
		return p, fmt.Errorf("%w: %d, this program knows %d", ErrLaterVersion, version, PolicyVersion)
	}
	if err := json.Unmarshal(fields[fieldTenant], &p.Tenant); err != nil || p.Tenant == "" {
		return p, errors.New("envelope: the record of a policy names no tenant")
	}
	delete(fields, fieldVersion)
	delete(fields, fieldTenant)
	var unread UnreadError
	take(fields, fieldPaused, &p.Paused, &unread)
	take(fields, fieldWeight, &p.Weight, &unread)
	take(fields, fieldCap, &p.MaxInFlight, &unread)
	take(fields, fieldRate, &p.Rate, &unread)
	if len(fields) > 0 {
		p.kept = fields
	}
	if len(unread) > 0 {
		return p, unread
	}
	return p, nil
}

// UnreadError names the fields of a record that could not be read.
type UnreadError []string

func (e UnreadError) Error() string {
	return "envelope: fields of a policy cannot be read: " + strings.Join(e, ", ")
}

// take moves a field into its place, or leaves it.
func take[T any](fields map[string]json.RawMessage, name string, to **Term[T], unread *UnreadError) {
	raw, ok := fields[name]
	if !ok {
		return
	}
	var t *Term[T]
	if err := json.Unmarshal(raw, &t); err != nil || t == nil {
		*unread = append(*unread, name)
		return
	}
	*to = t
	delete(fields, name)
}

// Bytes is the inverse of ParsePolicy.
func (p Policy) Bytes() ([]byte, error) {
	fields := make(map[string]any, 6+len(p.kept))
	for name, raw := range p.kept {
		fields[name] = raw
	}
	fields[fieldVersion], fields[fieldTenant] = PolicyVersion, p.Tenant
	put(fields, fieldPaused, p.Paused)
	put(fields, fieldWeight, p.Weight)
	put(fields, fieldCap, p.MaxInFlight)
	put(fields, fieldRate, p.Rate)
	return json.Marshal(fields)
}

func put[T any](fields map[string]any, name string, t *Term[T]) {
	if t != nil {
		fields[name] = t
	}
}

// Empty reports whether p says nothing, fields that this program does not know included.
func (p Policy) Empty() bool { return p.Silent() && len(p.kept) == 0 }

// Silent reports whether p says nothing that this program knows.
func (p Policy) Silent() bool {
	return p.Paused == nil && p.Weight == nil && p.MaxInFlight == nil && p.Rate == nil
}

// Kept are the names of the fields that this program does not know, or could not read.
func (p Policy) Kept() []string { return slices.Sorted(maps.Keys(p.kept)) }

// At returns what of p counts at a time.
func (p Policy) At(now time.Time) Policy {
	p.Paused, p.Weight = p.Paused.at(now), p.Weight.at(now)
	p.MaxInFlight, p.Rate = p.MaxInFlight.at(now), p.Rate.at(now)
	return p
}

func (t *Term[T]) at(now time.Time) *Term[T] {
	if t == nil || !t.Until.IsZero() && !now.Before(t.Until) {
		return nil
	}
	return t
}

// Next returns when the next term of p is over, if one ends by itself.
func (p Policy) Next() (at time.Time, ok bool) {
	for _, until := range []time.Time{p.Paused.until(), p.Weight.until(), p.MaxInFlight.until(), p.Rate.until()} {
		if !until.IsZero() && (!ok || until.Before(at)) {
			at, ok = until, true
		}
	}
	return at, ok
}

func (t *Term[T]) until() time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Until
}
