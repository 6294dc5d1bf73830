// Package limiter says how many calls may run at once.
package limiter
