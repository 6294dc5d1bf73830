package flow

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// numbers gives 0 to n-1.
func numbers(n int) func(context.Context, func(int) bool) error {
	return func(_ context.Context, emit func(int) bool) error {
		for i := range n {
			if !emit(i) {
				break
			}
		}
		return nil
	}
}

func same(_ context.Context, v int) (int, error) { return v, nil }

func TestAPipelineHandsEveryValueOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stage := func(name string) Stage {
			return Stage{Workers: rapid.IntRange(0, 4).Draw(t, name+" workers"), Buffer: rapid.IntRange(0, 4).Draw(t, name+" buffer")}
		}
		n := rapid.IntRange(0, 200).Draw(t, "n")
		ordered := rapid.Bool().Draw(t, "ordered")
		p := NewPipeline()
		in := Source(p, Stage{Buffer: rapid.IntRange(0, 4).Draw(t, "buffer")}, numbers(n))
		square := func(_ context.Context, v int) (int, error) {
			if v%3 == 0 {
				runtime.Gosched()
			}
			return v * v, nil
		}
		var out *Stream[int]
		if ordered {
			out = MapOrdered(in, stage("map"), square)
		} else {
			out = Map(in, stage("map"), square)
		}
		var got []int
		Sink(out, Stage{}, func(_ context.Context, v int) error {
			got = append(got, v)
			return nil
		})
		if err := p.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !ordered {
			slices.Sort(got)
		}
		for i, v := range got {
			if v != i*i {
				t.Fatalf("value %d is %d: %v", i, v, got)
			}
		}
		if len(got) != n {
			t.Fatalf("%d values came through, want %d", len(got), n)
		}
	})
}

func TestMapOrderedKeepsTheOrderOfUnequalWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPipeline()
		began := time.Now()
		out := MapOrdered(Source(p, Stage{}, numbers(100)), Stage{Workers: 10}, func(_ context.Context, v int) (int, error) {
			time.Sleep(time.Duration(10-v%10) * time.Second)
			return v, nil
		})
		next := 0
		Sink(out, Stage{}, func(_ context.Context, v int) error {
			if v != next {
				t.Errorf("got %d, want %d", v, next)
			}
			next++
			return nil
		})
		if err := p.Run(t.Context()); err != nil || next != 100 {
			t.Errorf("%d values, %v", next, err)
		}
		if took := time.Since(began); took != 100*time.Second {
			t.Errorf("took %v, want 100s: ten at once, ten times", took)
		}
	})
}

func TestAPipelineHoldsItsBuffersAndWorkersOnly(t *testing.T) {
	for _, ordered := range []bool{false, true} {
		t.Run(fmt.Sprint("ordered ", ordered), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var emitted, done atomic.Int64
				free := make(chan struct{})
				p := NewPipeline()
				in := Source(p, Stage{Buffer: 3}, func(_ context.Context, emit func(int) bool) error {
					for {
						if !emit(int(emitted.Add(1))) {
							return nil
						}
					}
				})
				stage := Stage{Workers: 4, Buffer: 2}
				mapped := Map(in, stage, same)
				if ordered {
					mapped = MapOrdered(mapped, Stage{Workers: 5, Buffer: 6}, same)
				} else {
					mapped = Map(mapped, Stage{Workers: 5, Buffer: 6}, same)
				}
				stop := errors.New("stop")
				Sink(mapped, Stage{Workers: 2}, func(context.Context, int) error {
					<-free
					if done.Add(1) == 50 {
						return stop
					}
					return nil
				})
				var err error
				ended := make(chan struct{})
				go func() {
					err = p.Run(t.Context())
					close(ended)
				}()
				// source, its buffer, map, its buffer, map, its buffer, sink
				const most = 1 + 3 + 4 + 2 + 5 + 6 + 2
				synctest.Wait()
				if emitted.Load() != most {
					t.Errorf("holds %d values at rest, want %d", emitted.Load(), most)
				}
				for i := range 49 {
					free <- struct{}{}
					synctest.Wait()
					if held := emitted.Load() - done.Load(); held != most {
						t.Fatalf("after %d it holds %d values, want %d", i, held, most)
					}
				}
				close(free)
				<-ended
				if !errors.Is(err, stop) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestTheFirstErrorEndsAPipeline(t *testing.T) {
	oops := errors.New("oops")
	fail := func(_ context.Context, v int) (int, error) {
		if v == 5 {
			return 0, oops
		}
		return v, nil
	}
	toSink := func(out *Stream[int]) {
		Sink(out, Stage{}, func(context.Context, int) error { return nil })
	}
	for _, tt := range []struct {
		name  string
		build func(p *Pipeline)
		stage string
	}{
		{"source", func(p *Pipeline) {
			toSink(Source(p, Stage{}, func(_ context.Context, emit func(int) bool) error {
				emit(1)
				return oops
			}))
		}, "source 1"},
		{"map", func(p *Pipeline) {
			toSink(Map(Source(p, Stage{}, numbers(1<<40)), Stage{Workers: 3}, fail))
		}, "map 2"},
		{"ordered map", func(p *Pipeline) {
			toSink(MapOrdered(Source(p, Stage{}, numbers(1<<40)), Stage{Workers: 3, Name: "parse"}, fail))
		}, "parse"},
		{"sink", func(p *Pipeline) {
			Sink(Source(p, Stage{}, numbers(1<<40)), Stage{Workers: 2}, func(ctx context.Context, v int) error {
				_, err := fail(ctx, v)
				return err
			})
		}, "sink 2"},
	} {
		p := NewPipeline()
		tt.build(p)
		err := p.Run(t.Context())
		if !errors.Is(err, oops) || !strings.Contains(err.Error(), fmt.Sprintf("stage %q", tt.stage)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestAPanicInAStageIsAnError(t *testing.T) {
	inner := errors.New("inner")
	for _, ordered := range []bool{false, true} {
		for _, f := range []func(context.Context, int) (int, error){
			func(context.Context, int) (int, error) { panic(inner) },
			func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil },
		} {
			p := NewPipeline()
			in := Source(p, Stage{}, numbers(1<<40))
			out := Map(in, Stage{Workers: 2}, same)
			if ordered {
				out = MapOrdered(out, Stage{Workers: 2}, f)
			} else {
				out = Map(out, Stage{Workers: 2}, f)
			}
			Sink(out, Stage{}, func(context.Context, int) error { return nil })
			err := p.Run(t.Context())
			var pe *PanicError
			switch {
			case errors.Is(err, errGoexit):
			case errors.As(err, &pe) && errors.Is(err, inner) && strings.Contains(string(pe.Stack), "TestAPanicInAStage"):
			default:
				t.Errorf("got %v", err)
			}
		}
	}
}

func TestAPipelineEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause) // by then all is full
		defer cancel()
		p := NewPipeline()
		var after atomic.Int64
		out := MapOrdered(Source(p, Stage{Buffer: 3}, numbers(1<<40)), Stage{Workers: 3, Buffer: 30}, func(ctx context.Context, v int) (int, error) {
			if ctx.Err() != nil {
				after.Add(1)
			}
			time.Sleep(time.Second)
			return v, nil
		})
		Sink(out, Stage{Workers: 8}, func(ctx context.Context, _ int) error {
			if ctx.Err() != nil {
				after.Add(1)
			}
			<-ctx.Done() // stuck
			return nil
		})
		began := time.Now()
		if err := p.Run(ctx); err != cause {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != time.Minute || after.Load() != 0 {
			t.Errorf("took %v, %d values begun after the end", took, after.Load())
		}
	})
}

func TestNothingIsEmittedAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := NewPipeline()
	out := Source(p, Stage{Buffer: 100}, func(_ context.Context, emit func(int) bool) error {
		for i := range 50 {
			if emit(i) {
				t.Error("emit is true, though there is room only")
			}
		}
		return nil
	})
	Sink(out, Stage{}, func(context.Context, int) error { return nil })
	if err := p.Run(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestAPipelineThatIsNotBuiltRightDoesNotStart(t *testing.T) {
	started := false
	source := func(context.Context, func(int) bool) error { started = true; return nil }
	drop := func(context.Context, int) error { return nil }
	for _, tt := range []struct {
		build func(p *Pipeline)
		want  string
	}{
		{func(*Pipeline) {}, "flow: Pipeline: it has 0 stages: must have a source and a sink"},
		{func(p *Pipeline) { Source(p, Stage{}, source) }, `flow: Pipeline: stage "source 1": nothing takes what it gives, must end in a sink`},
		{func(p *Pipeline) {
			s := Source(p, Stage{Name: "in", Workers: 2}, source)
			Sink(s, Stage{Buffer: 1}, drop)
			Sink(s, Stage{}, drop)
		}, "flow: Pipeline: stage \"in\": Stage.Workers is 2: must be at most 1 for a source\n" +
			"stage \"sink 2\": Stage.Buffer is 1: must be 0 for a sink\n" +
			`stage "sink 3": the stream of stage "in" is taken already, must be taken once`},
		{func(p *Pipeline) {
			Sink(Map[int, int](Source(p, Stage{Buffer: -1}, source), Stage{Workers: -1}, nil), Stage{}, drop)
		}, "flow: Pipeline: stage \"source 1\": Stage.Buffer is -1: must be from 0 to 16777216\n" +
			"stage \"map 2\": Stage.Workers is -1: must be from 0 to 65536\nits function is nil: must be set"},
	} {
		p := NewPipeline()
		tt.build(p)
		if err := p.Run(t.Context()); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
	if started {
		t.Error("a source has started")
	}
	p := NewPipeline()
	Sink(Source(p, Stage{}, source), Stage{}, drop)
	if err := p.Run(t.Context()); err != nil || !started {
		t.Error(err)
	}
	if err := p.Run(t.Context()); err != ErrRan {
		t.Errorf("got %v", err)
	}
}
