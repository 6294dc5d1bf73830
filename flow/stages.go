package flow

import "context"

// Source adds a stage that begins a Pipeline. f gives values by emit, which blocks while
// the stages behind are full, and returns false when the Pipeline has ended: then f should
// return. emit fits an iterator: seq(emit) gives all that seq has. An error of f ends the
// Pipeline, nil says that there is no more.
func Source[T any](p *Pipeline, c Stage, f func(ctx context.Context, emit func(T) bool) error) *Stream[T] {
	s := p.add("source", c, f == nil)
	out := output[T](p, s)
	s.loop = func(ctx context.Context) error {
		return f(ctx, func(v T) bool { return send(ctx, out.ch, v) })
	}
	return out
}

// Map adds a stage whose workers make an Out of each In. Values leave in the order in which
// they are ready. An error of f ends the Pipeline.
func Map[In, Out any](in *Stream[In], c Stage, f func(context.Context, In) (Out, error)) *Stream[Out] {
	s := in.p.add("map", c, f == nil)
	input(s, in)
	out := output[Out](in.p, s)
	s.loop = func(ctx context.Context) error {
		for {
			v, ok := receive(ctx, in.ch)
			if !ok {
				return nil
			}
			made, err := f(ctx, v)
			if err != nil {
				return err
			}
			if !send(ctx, out.ch, made) {
				return nil
			}
		}
	}
	return out
}

// MapOrdered is Map, but values leave in the order in which they came. A worker whose value
// is ready waits until those before it have left, so that no more are held than there are
// workers: behind a slow value, as many as that wait.
func MapOrdered[In, Out any](in *Stream[In], c Stage, f func(context.Context, In) (Out, error)) *Stream[Out] {
	s := in.p.add("map", c, f == nil)
	input(s, in)
	out := output[Out](in.p, s)
	// Whoever has the turn takes the next value, and with it the gate that the value
	// before it opens when it has left. What is in turn is the gate for the next one.
	turn := make(chan chan struct{}, 1)
	opened := make(chan struct{})
	close(opened)
	turn <- opened
	s.loop = func(ctx context.Context) error {
		for {
			before, ok := receive(ctx, turn)
			if !ok {
				return nil
			}
			v, ok := receive(ctx, in.ch)
			if !ok {
				turn <- before // the others find the end of the input, too
				return nil
			}
			after := make(chan struct{})
			turn <- after
			made, err := f(ctx, v)
			if err != nil {
				return err
			}
			if !passed(ctx, before) || !send(ctx, out.ch, made) {
				return nil
			}
			close(after)
		}
	}
	return out
}

// Sink adds a stage that ends a Pipeline. An error of f ends the Pipeline.
func Sink[T any](in *Stream[T], c Stage, f func(context.Context, T) error) {
	s := in.p.add("sink", c, f == nil)
	input(s, in)
	s.loop = func(ctx context.Context) error {
		for {
			v, ok := receive(ctx, in.ch)
			if !ok {
				return nil
			}
			if err := f(ctx, v); err != nil {
				return err
			}
		}
	}
}

// receive returns false when ch is closed, or the Pipeline has ended.
func receive[T any](ctx context.Context, ch <-chan T) (v T, ok bool) {
	if ctx.Err() != nil {
		return v, false
	}
	select {
	case v, ok = <-ch:
		return v, ok
	case <-ctx.Done():
		return v, false
	}
}

// send returns false when the Pipeline has ended.
func send[T any](ctx context.Context, ch chan<- T, v T) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case ch <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// passed waits until gate is open, and returns false when the Pipeline has ended.
func passed(ctx context.Context, gate <-chan struct{}) bool {
	select {
	case <-gate:
		return true
	case <-ctx.Done():
		return false
	}
}
