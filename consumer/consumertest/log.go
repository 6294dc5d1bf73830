package consumertest

import (
	"fmt"
	"sync"
	"testing"
)

// serverLog is the logger of nats-server: it remembers a fatal line, for the text of
// a failed start, and writes all lines into the test's log if asked to.
type serverLog struct {
	verbose bool // not changed after the first start

	mu  sync.Mutex
	tb  testing.TB // nil after the test: a late line would be a panic
	why string     // the last fatal line
}

// Noticef is part of server.Logger, as all below.
func (l *serverLog) Noticef(format string, v ...any) { l.write("INF", format, v) }

func (l *serverLog) Warnf(format string, v ...any) { l.write("WRN", format, v) }

func (l *serverLog) Debugf(format string, v ...any) { l.write("DBG", format, v) }

func (l *serverLog) Tracef(format string, v ...any) { l.write("TRC", format, v) }

func (l *serverLog) Errorf(format string, v ...any) { l.write("ERR", format, v) }

// Fatalf returns, unlike that of nats-server, which ends the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	l.why = fmt.Sprintf(format, v...)
	l.mu.Unlock()
	l.write("FTL", format, v)
}

func (l *serverLog) write(level, format string, v []any) {
	if !l.verbose {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tb != nil {
		l.tb.Logf("nats-server ["+level+"] "+format, v...)
	}
}

// fatal returns why the server gave up, or "".
func (l *serverLog) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.why
}

func (l *serverLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tb = nil
}
