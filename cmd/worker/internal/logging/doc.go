// Package logging puts zap behind log/slog: JSON lines, or text for people.
package logging
