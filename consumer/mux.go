package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Route says which handler takes the messages of a subject.
type Route struct {
	// Subject is a NATS subject, with * for one token and > for the rest.
	Subject string
	// Handler does the work. Required.
	Handler Handler
	// Downstream names what the handler calls. Messages for one downstream wait
	// apart from those for another. Default "default".
	Downstream string
	// Timeout is how long one run may take. Default 0: as long as it likes.
	Timeout time.Duration

	state *downstreamState // of one Consumer; set in its own copy of the route
}

// DefaultDownstream is the downstream of a route that names none.
const DefaultDownstream = "default"

// Mux is a Handler that gives each message to the handler of its most specific
// route. Two routes that a subject can match both are a mistake that New reports,
// unless one is more specific, or a third takes just what both match. The zero Mux
// has no routes. Routes are added before New; a Mux must not be changed after that.
type Mux struct {
	routes []Route
	root   routeNode
	errs   []error
}

// routeNode is a token of the routes' subjects: the children by literal, by * and
// the route that ends in > here.
type routeNode struct {
	literal map[string]*routeNode
	star    *routeNode
	tail    *Route
	end     *Route
}

// Route adds r. A mistake in it is reported by New.
func (m *Mux) Route(r Route) {
	if err := m.checkRoute(r); err != nil {
		m.errs = append(m.errs, err)
		return
	}
	if r.Downstream == "" {
		r.Downstream = DefaultDownstream
	}
	m.routes = append(m.routes, r)
	m.root.add(strings.Split(r.Subject, "."), &r)
}

// HandleFunc adds a route from subject to f.
func (m *Mux) HandleFunc(subject string, f func(ctx context.Context, msg *Message) error) {
	m.Route(Route{Subject: subject, Handler: HandlerFunc(f)})
}

// Handle gives msg to the handler of its route. A message without a route is dead-lettered.
func (m *Mux) Handle(ctx context.Context, msg *Message) error {
	r := m.match(msg.Subject)
	if r == nil {
		return DeadLetter(fmt.Errorf("consumer: no route for subject %q", msg.Subject))
	}
	return r.Handler.Handle(ctx, msg)
}

func (m *Mux) checkRoute(r Route) error {
	if err := checkPattern(r.Subject); err != nil {
		return fmt.Errorf("consumer: route %q: %w", r.Subject, err)
	}
	if r.Handler == nil {
		return fmt.Errorf("consumer: route %q: Handler is required", r.Subject)
	}
	if !validTenant(r.Downstream) {
		return fmt.Errorf("consumer: route %q: Downstream is %q, must be at most %d bytes of UTF-8 without control characters", r.Subject, r.Downstream, maxTenantBytes)
	}
	if r.Timeout < 0 {
		return fmt.Errorf("consumer: route %q: Timeout is %v, must not be negative", r.Subject, r.Timeout)
	}
	return nil
}

func (m *Mux) validate() error {
	if len(m.errs) == 0 && len(m.routes) == 0 {
		return errors.New("consumer: the Mux has no routes")
	}
	errs := slices.Clone(m.errs)
	for i, r := range m.routes {
		for _, other := range m.routes[:i] {
			if err := m.checkPair(other.Subject, r.Subject); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// checkPair reports two routes that a subject can match both, unless one is more
// specific, or a third takes just what both match.
func (m *Mux) checkPair(a, b string) error {
	if a == b {
		return fmt.Errorf("consumer: there are two routes %q", a)
	}
	both, overlap := intersect(a, b)
	if !overlap || both == a || both == b {
		return nil
	}
	if slices.ContainsFunc(m.routes, func(r Route) bool { return r.Subject == both }) {
		return nil
	}
	return fmt.Errorf("consumer: routes %q and %q are ambiguous: both match %q, and neither is more specific; add a route for it", a, b, both)
}

// bind returns a copy of m whose routes know the state of their downstreams.
func (m *Mux) bind(ds downstreams) *Mux {
	bound := new(Mux)
	for _, r := range m.routes {
		r.state = ds.get(r.Downstream)
		bound.routes = append(bound.routes, r)
		bound.root.add(strings.Split(r.Subject, "."), &r)
	}
	return bound
}

// match returns the most specific route of subject, or nil. Of the routes that match
// a subject one is the least, because what two of them both match is a route too;
// and it is the first to be found when a literal is tried before * and * before >.
func (m *Mux) match(subject string) *Route { return m.root.match(subject) }

func (n *routeNode) add(tokens []string, r *Route) {
	if len(tokens) == 0 {
		n.end = r
		return
	}
	switch tokens[0] {
	case ">":
		n.tail = r
	case "*":
		if n.star == nil {
			n.star = &routeNode{}
		}
		n.star.add(tokens[1:], r)
	default:
		if n.literal == nil {
			n.literal = make(map[string]*routeNode)
		}
		if n.literal[tokens[0]] == nil {
			n.literal[tokens[0]] = &routeNode{}
		}
		n.literal[tokens[0]].add(tokens[1:], r)
	}
}

// match finds the route of what is left of a subject below n.
func (n *routeNode) match(rest string) *Route {
	token, after, more := strings.Cut(rest, ".")
	for _, next := range []*routeNode{n.literal[token], n.star} {
		if next == nil {
			continue
		}
		if !more {
			if next.end != nil {
				return next.end
			}
			continue
		}
		if r := next.match(after); r != nil {
			return r
		}
	}
	return n.tail
}

// checkPattern reports what is wrong with a subject that may hold wildcards.
func checkPattern(s string) error {
	if s == "" {
		return errors.New("a subject must not be empty")
	}
	if strings.ContainsAny(s, " \t\r\n\x00") {
		return errors.New("a subject must not contain white space")
	}
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		switch {
		case token == "":
			return errors.New("a subject must not contain an empty token")
		case token == ">" && i < len(tokens)-1:
			return errors.New("> may only be the last token")
		case len(token) > 1 && strings.ContainsAny(token, "*>"):
			return fmt.Errorf("token %q: * and > are wildcards only when they stand alone", token)
		}
	}
	return nil
}

// intersect returns the pattern of the subjects that match both a and b; ok is false
// if there are none.
func intersect(a, b string) (both string, ok bool) {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	var tokens []string
	for i := 0; ; i++ {
		if i == len(as) || i == len(bs) {
			return strings.Join(tokens, "."), len(as) == len(bs)
		}
		x, y := as[i], bs[i]
		switch {
		case x == ">":
			return strings.Join(append(tokens, bs[i:]...), "."), true
		case y == ">":
			return strings.Join(append(tokens, as[i:]...), "."), true
		case x == "*", x == y:
			tokens = append(tokens, y)
		case y == "*":
			tokens = append(tokens, x)
		default:
			return "", false // two literals that differ
		}
	}
}
