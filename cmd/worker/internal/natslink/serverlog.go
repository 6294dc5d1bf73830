package natslink

import (
	"fmt"
	"log/slog"
	"sync"
)

// serverLog is the logger of the embedded server. What it says about itself is for
// debugging, what it complains about is for everybody.
type serverLog struct {
	log *slog.Logger

	mu    sync.Mutex
	last  string
	fatal bool
}

// Noticef is part of server.Logger, as all below.
func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats-server", "line", fmt.Sprintf(format, v...))
}

// Debugf is not used: the server is started without debug logs.
func (l *serverLog) Debugf(string, ...any) {}

// Tracef is not used either.
func (l *serverLog) Tracef(string, ...any) {}

// Warnf logs what is unusual.
func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("nats-server warns", "line", fmt.Sprintf(format, v...))
}

// Errorf logs what failed.
func (l *serverLog) Errorf(format string, v ...any) { l.complain(fmt.Sprintf(format, v...)) }

// Fatalf does not end the process: a server that cannot start is reported.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.complain(fmt.Sprintf(format, v...))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = true
}

// failed reports whether there was a fatal complaint.
func (l *serverLog) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *serverLog) complain(line string) {
	l.mu.Lock()
	l.last = line
	l.mu.Unlock()
	l.log.Error("nats-server complains", "line", line)
}

func (l *serverLog) complaint() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return "it gave no reason"
	}
	return l.last
}
