package logging

import (
	"io"
	"log/slog"
	"math"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
)

// Format is how a line of the log looks.
type Format int

// The formats.
const (
	JSON Format = iota
	Console
)

// New returns a Logger that writes to w what is of the level that holds at the time.
func New(w io.Writer, format Format, level slog.Leveler) *slog.Logger {
	enabled := zap.LevelEnablerFunc(func(l zapcore.Level) bool { return l >= zapLevel(level.Level()) })
	core := zapcore.NewCore(encoder(format), zapcore.Lock(zapcore.AddSync(w)), enabled)
	// The stack of the call that logs an error tells nothing about the error.
	return slog.New(zapslog.NewHandler(core, zapslog.AddStacktraceAt(slog.Level(math.MaxInt))))
}

func encoder(format Format) zapcore.Encoder {
	cfg := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg",
		EncodeTime:     zapcore.RFC3339NanoTimeEncoder,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder,
	}
	if format == JSON {
		return zapcore.NewJSONEncoder(cfg)
	}
	cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	cfg.EncodeLevel = zapcore.CapitalLevelEncoder
	cfg.EncodeDuration = func(d time.Duration, out zapcore.PrimitiveArrayEncoder) { out.AppendString(terminal.Brief(d)) }
	cfg.ConsoleSeparator = " "
	return zapcore.NewConsoleEncoder(cfg)
}

func zapLevel(level slog.Level) zapcore.Level {
	switch {
	case level < slog.LevelInfo:
		return zapcore.DebugLevel
	case level < slog.LevelWarn:
		return zapcore.InfoLevel
	case level < slog.LevelError:
		return zapcore.WarnLevel
	}
	return zapcore.ErrorLevel
}
