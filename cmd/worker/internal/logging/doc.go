// Package logging puts zap behind log/slog: JSON lines, or text for people.
//
// In JSON a duration is a number of seconds, as in the metrics; for people it is short,
// like 575ms. Times are RFC 3339, and of the day for people.
package logging
