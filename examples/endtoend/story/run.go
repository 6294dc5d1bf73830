package story

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

// Config says how the story is told. JetStream and Page are required.
type Config struct {
	JetStream jetstream.JetStream // of a server that has none of the streams yet
	Page      net.Listener        // where the page is; the story closes it
	Scene     time.Duration       // how long a scene takes, at least 100 ms; default DefaultScene
	Endless   bool                // begin again after the last scene, until the context ends
	Show      func(Moment)        // is called each second, and must not block; nil: nobody looks
	Logger    *slog.Logger        // of the consumer; nil: nothing is logged
}

func (c Config) withDefaults() (Config, error) {
	if c.Scene == 0 {
		c.Scene = DefaultScene
	}
	if c.Show == nil {
		c.Show = func(Moment) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.JetStream == nil {
		err = errors.Join(err, errors.New("story: Config.JetStream is missing"))
	}
	if c.Page == nil {
		err = errors.Join(err, errors.New("story: Config.Page is missing"))
	}
	if c.Scene < minScene || c.Scene > time.Hour {
		err = errors.Join(err, fmt.Errorf("story: Config.Scene is %v: must be from 100ms to 1h", c.Scene))
	}
	return c, err
}

const minScene = 100 * time.Millisecond

// tailTimeout bounds how long what is left at the end may take.
const tailTimeout = time.Minute

// Run tells the story: it plays the scenes, or as many as there are until ctx ends, drains,
// and returns what was seen and what became of every job.
func Run(ctx context.Context, c Config) (*Summary, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	st, err := newStage(ctx, c)
	if err != nil {
		return nil, err
	}
	defer st.close()

	// The worker ends last, so that its drain has an end to come to.
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	worked := make(chan error, 1)
	go func() { worked <- st.consumer.Run(working) }()

	watching, stopWatch := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatch()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		st.watch.run(watching, st.show)
	}()
	playing, stopPlay := context.WithCancel(ctx)
	played := make(chan error, 1)
	go func() { played <- st.play(playing) }()

	select {
	case err = <-played:
	case err = <-worked:
		err = errors.Join(errors.New("the worker ended before its time"), err)
		stopPlay()
		err = errors.Join(err, <-played)
		worked <- nil
	}
	stopPlay()
	st.enter(Draining)
	stopWork()
	drained := <-worked
	stopWatch()
	<-watched
	if !errors.Is(drained, consumer.ErrDrainTimeout) { // then what is left waits in JetStream
		err = errors.Join(err, drained)
	}
	if err != nil {
		return nil, err
	}
	return st.summary(context.WithoutCancel(ctx))
}

// play plays the scenes, and then waits until all jobs are done.
func (st *stage) play(ctx context.Context) error {
	if err := st.awaitReady(ctx); err != nil {
		return err
	}
	for {
		for _, scene := range Scenes() {
			if err := st.playScene(ctx, scene); err != nil || ctx.Err() != nil {
				return err
			}
		}
		if !st.cfg.Endless {
			st.enter(Finishing)
			return st.awaitDone(ctx)
		}
	}
}

func (st *stage) playScene(ctx context.Context, scene Scene) error {
	st.book.begin(scene)
	st.watch.begin(scene)
	st.teller.begin(scene)
	st.watch.tell()
	if scene == SlowDownstream {
		// It ends by itself, or with the scene, so that the drain has an end.
		defer func() { _ = st.billing.SetFault(fakedownstream.Fault{}) }()
		fault := fakedownstream.Fault{Kind: fakedownstream.Slow, Factor: slowFactor, For: scene.trouble(st.cfg.Scene)}
		if err := st.billing.SetFault(fault); err != nil {
			return err
		}
	}
	late, err := st.clients.play(ctx, scene, st.cfg.Scene)
	if err != nil {
		return err
	}
	st.late = max(st.late, late)
	if ctx.Err() == nil {
		st.watch.complete()
	}
	return nil
}

// enter shows another part of the story.
func (st *stage) enter(p Part) {
	st.teller.enter(p)
	st.watch.tell()
}

// awaitReady returns when the worker takes jobs, or ctx ends.
func (st *stage) awaitReady(ctx context.Context) error {
	return poll(ctx, func() bool { return st.consumer.Ready() == nil })
}

// awaitDone returns when every job that was accepted is done, and what had to recover has.
func (st *stage) awaitDone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tailTimeout)
	defer cancel()
	return poll(ctx, func() bool {
		s := st.consumer.Snapshot()
		return s.Backlog == 0 && s.Held == 0
	})
}

// poll returns when what is true, or ctx ends.
func poll(ctx context.Context, what func() bool) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !what() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}
