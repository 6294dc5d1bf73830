package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long anything may take that is no part of what is measured.
const patience = 30 * time.Second

// StreamPrefix begins the name of every stream that a scenario makes.
const StreamPrefix = "SPILLWAY_BENCH_"

// A Rig is what a scenario works with: a server, a stream of its own, sizes and randomness.
type Rig struct {
	cfg  Config
	tag  string // begins the names of all streams of this run of the scenario, and no others
	js   jetstream.JetStream
	rand *rand.Rand
	say  func(string)

	mu       sync.Mutex // guards the fields below
	numbers  uint64     // given out so far
	children []int      // processes that run
}

// newRig connects for one run of a scenario.
func newRig(cfg Config, name string, say func(string)) (*Rig, error) {
	js, err := cfg.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	// The name must be free on the server, whatever the seed is.
	tag := fmt.Sprintf("%s%08X", StreamPrefix, rand.Uint32())
	seed := uint64(0)
	for _, c := range name {
		seed = seed*31 + uint64(c)
	}
	return &Rig{cfg: cfg, tag: tag, js: js, rand: rand.New(rand.NewPCG(cfg.Seed, seed)), say: say}, nil
}

// Count is how many things of a sort are used where n are meant, at least least.
func (r *Rig) Count(n, least int) int { return max(int(float64(n)*r.cfg.Scale), least) }

// Span is how long something goes on that is meant to take d, at least least.
func (r *Rig) Span(d, least time.Duration) time.Duration {
	return max(time.Duration(float64(d)*r.cfg.Scale), least)
}

// Rand is random by the seed. It is for one goroutine.
func (r *Rig) Rand() *rand.Rand { return r.rand }

// Say tells what goes on.
func (r *Rig) Say(format string, args ...any) { r.say(fmt.Sprintf(format, args...)) }

// number returns a number that it has not returned before.
func (r *Rig) number() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers++
	return r.numbers
}

// A bed is a stream that a scenario has for itself, with subjects <stream>.<tenant>.<kind>.
type bed struct {
	rig    *Rig
	stream string
}

// newBed makes a stream.
func (r *Rig) newBed(ctx context.Context) (*bed, error) {
	b := &bed{rig: r, stream: fmt.Sprintf("%s_%d", r.tag, r.number())}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cfg := jetstream.StreamConfig{
		Name: b.stream, Subjects: []string{b.stream + ".>"}, Storage: jetstream.FileStorage,
		Description: "made by worker bench; can be removed when that has ended",
	}
	_, err := r.js.CreateStream(ctx, cfg)
	for try := 0; try < storeTries && isStoreError(err); try++ {
		if err := pause(ctx, storePause); err != nil {
			return nil, err
		}
		_, err = r.js.CreateStream(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("create stream %s: %w", b.stream, err)
	}
	return b, nil
}

// A server that has just deleted the last stream of an account removes the directory of all,
// and may do so under one that is created in this moment (nats-server 2.15, stream.go).
const (
	storeTries     = 5
	storePause     = 50 * time.Millisecond
	storeErrorCode = 10049 // "error creating store for stream"
)

func isStoreError(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == storeErrorCode
}

// drop removes the stream and what was made for its consumers before the scenario is over:
// a server with less to hold is faster.
func (b *bed) drop(ctx context.Context) error { return b.rig.remove(ctx, b.stream) }

// subject is where messages of a tenant go.
func (b *bed) subject(tenant, kind string) string { return b.stream + "." + tenant + "." + kind }

// tenantOf returns the tenant of a subject.
func tenantOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	tenant, _, _ := strings.Cut(rest, ".")
	return tenant
}

// kindOf returns the last token of a subject.
func kindOf(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

// close removes all that the scenario has made, and disconnects.
func (r *Rig) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := r.remove(ctx, r.tag)
	r.js.Conn().Close()
	return err
}

// remove deletes every stream whose name holds tag: those made here, and those that belong
// to consumers of them, whatever they are named after.
func (r *Rig) remove(ctx context.Context, tag string) error {
	names := r.js.StreamNames(ctx)
	var mine []string
	for name := range names.Name() {
		if holdsTag(name, tag) {
			mine = append(mine, name)
		}
	}
	errs := []error{names.Err()}
	for _, name := range slices.Sorted(slices.Values(mine)) {
		if err := r.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, fmt.Errorf("remove stream %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// holdsTag reports whether name holds tag as a whole: ..._1 is not in ..._11.
func holdsTag(name, tag string) bool {
	_, after, found := strings.Cut(name, tag)
	return found && (after == "" || after[0] == '_' || after[0] == '-')
}

// command is a process of this program that does a Task, see child.go.
func (r *Rig) command(ctx context.Context) (*exec.Cmd, error) {
	if r.cfg.Child == nil {
		return nil, errors.New("this program cannot start itself: Config.Child is nil")
	}
	return r.cfg.Child(ctx)
}

// adopt counts a process among ours until disown is called.
func (r *Rig) adopt(pid int) (disown func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.children = append(r.children, pid)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.children = slices.DeleteFunc(r.children, func(p int) bool { return p == pid })
	}
}

func (r *Rig) family() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.children)
}
