package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// stopper turns signals into an orderly stop.
type stopper struct {
	log     *slog.Logger
	exit    func(code int)
	hangup  func()
	signals chan os.Signal
	done    chan struct{}
}

// untilSignal returns a context that ends with the first INT or TERM. A second one
// ends the process at once. HUP calls hangup; without one it is like TERM, as it comes
// from a terminal that was closed. The caller calls release when nothing is left to
// stop.
func untilSignal(parent context.Context, p *process, log *slog.Logger, hangup func()) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	s := &stopper{log: log, exit: p.exit, hangup: hangup, signals: make(chan os.Signal, 8), done: make(chan struct{})}
	signal.Notify(s.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go s.watch(cancel)
	return ctx, func() {
		signal.Stop(s.signals)
		close(s.signals)
		<-s.done
		cancel()
	}
}

func (s *stopper) watch(cancel context.CancelFunc) {
	defer close(s.done)
	stopping := false
	for sig := range s.signals {
		switch {
		case sig == syscall.SIGHUP && s.hangup != nil:
			s.hangup()
		case stopping:
			s.log.Error("ended at once by a second signal", "signal", sig.String())
			s.exit(killedBy(sig))
		default:
			stopping = true
			s.log.Info("a signal ends the work: a second one ends it at once", "signal", sig.String())
			cancel()
		}
	}
}

// killedBy returns the exit code by which shells know that a signal ended a process.
func killedBy(sig os.Signal) int {
	const killed = 128
	if number, ok := sig.(syscall.Signal); ok {
		return killed + int(number)
	}
	return killed
}
