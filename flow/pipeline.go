package flow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
)

// Pipeline is stages that hand values on through bounded buffers: sources, maps and sinks,
// each with goroutines of its own. The first error ends all of it. A Pipeline is built by
// Source, Map, MapOrdered and Sink, by one goroutine, and then run once.
//
// It holds at most one value for each worker and as many as its buffers take. A stage that
// is full makes the one before it wait, back to the source.
type Pipeline struct {
	stages []*stage
	errs   []error // of building it
	ran    bool
}

// Stage says how one stage of a Pipeline works. The zero value is usable.
type Stage struct {
	Name    string // for errors; default its kind and number, as "map 2"
	Workers int    // values worked on at once; 1 to 65,536, default 1. A source has one
	Buffer  int    // values that may wait behind the stage; 0 to 16,777,216, default 0. A sink has none
}

// Stream is what leaves one stage and enters another, exactly one.
type Stream[T any] struct {
	p    *Pipeline
	ch   chan T
	from *stage
	used bool
}

// ErrRan is returned when a Pipeline is run again.
var ErrRan = errors.New("flow: the Pipeline has been run already")

// NewPipeline returns a Pipeline without stages.
func NewPipeline() *Pipeline { return &Pipeline{} }

// Run starts the stages, and returns when all of them have ended: nil when every value has
// gone through, the first error of a stage, which tells the name of the stage, or the cause
// of ctx if that ended before. A panic in a stage is an error, a *PanicError. If the
// Pipeline is not built right, Run returns all that is wrong with it and starts nothing.
func (p *Pipeline) Run(ctx context.Context) error {
	if p.ran {
		return ErrRan
	}
	p.ran = true
	if err := p.check(); err != nil {
		return fmt.Errorf("flow: Pipeline: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, s := range p.stages {
		s.left.Store(int64(s.c.Workers))
		for range s.c.Workers {
			wg.Go(func() { s.work(ctx, cancel) })
		}
	}
	wg.Wait()
	return context.Cause(ctx) // nil if nothing ended it
}

// check returns all that is wrong with the Pipeline.
func (p *Pipeline) check() error {
	errs := slices.Clone(p.errs)
	if len(p.stages) == 0 {
		errs = append(errs, errors.New("it has 0 stages: must have a source and a sink"))
	}
	for _, s := range p.stages {
		if s.loose != nil && s.loose() {
			errs = append(errs, fmt.Errorf("stage %q: nothing takes what it gives, must end in a sink", s.c.Name))
		}
	}
	return errors.Join(errs...)
}

// A stage is a number of workers, each of which runs a loop.
type stage struct {
	c     Stage
	loop  func(ctx context.Context) error // one worker; nil when its input has ended or ctx has
	end   func()                          // after the last worker
	loose func() bool                     // nil: nothing leaves the stage
	left  atomic.Int64                    // workers that have not ended
}

// add checks c and adds the stage; the caller sets the rest of it.
func (p *Pipeline) add(kind string, c Stage, missing bool) *stage {
	if c.Name == "" {
		c.Name = fmt.Sprintf("%s %d", kind, len(p.stages)+1)
	}
	err := errors.Join(
		within("Stage.Workers", c.Workers, 0, maxWorkers),
		within("Stage.Buffer", c.Buffer, 0, maxQueue),
	)
	switch {
	case kind == "source" && c.Workers > 1:
		err = errors.Join(err, fmt.Errorf("Stage.Workers is %d: must be at most 1 for a source", c.Workers))
	case kind == "sink" && c.Buffer > 0:
		err = errors.Join(err, fmt.Errorf("Stage.Buffer is %d: must be 0 for a sink", c.Buffer))
	}
	if missing {
		err = errors.Join(err, errors.New("its function is nil: must be set"))
	}
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("stage %q: %w", c.Name, err))
		c.Buffer = 0 // nothing will run, and no buffer is made that cannot be
	}
	c.Workers = orDefault(c.Workers, 1)
	s := &stage{c: c, end: func() {}}
	p.stages = append(p.stages, s)
	return s
}

// work is one worker of s. Whatever ends it but the end of its input ends the Pipeline.
func (s *stage) work(ctx context.Context, cancel context.CancelCauseFunc) {
	err := errGoexit
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		if err != nil {
			cancel(fmt.Errorf("flow: stage %q: %w", s.c.Name, err))
		}
		if s.left.Add(-1) == 0 {
			s.end()
		}
	}()
	err = s.loop(ctx)
}

// output makes the stream that leaves s.
func output[T any](p *Pipeline, s *stage) *Stream[T] {
	out := &Stream[T]{p: p, ch: make(chan T, s.c.Buffer), from: s}
	s.end = func() { close(out.ch) }
	s.loose = func() bool { return !out.used }
	return out
}

// input takes the stream into s.
func input[T any](s *stage, in *Stream[T]) {
	if in.used {
		in.p.errs = append(in.p.errs, fmt.Errorf("stage %q: the stream of stage %q is taken already, must be taken once", s.c.Name, in.from.c.Name))
	}
	in.used = true
}
