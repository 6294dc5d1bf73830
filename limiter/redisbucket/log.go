package redisbucket

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo gives l what go-redis has to say of its connections, at debug level: without it that
// is written to standard error. It is for all clients of the process, whose one log go-redis
// has. What matters of it is told by Config.OnDegraded and Stats.
func LogTo(l *slog.Logger) { redis.SetLogger(debugLog{l}) }

type debugLog struct{ log *slog.Logger }

// Printf is called by go-redis.
func (d debugLog) Printf(ctx context.Context, format string, v ...any) {
	if d.log.Enabled(ctx, slog.LevelDebug) {
		d.log.DebugContext(ctx, "redis: "+fmt.Sprintf(format, v...))
	}
}
