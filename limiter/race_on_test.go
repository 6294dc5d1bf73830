//go:build race

package limiter_test

// The race detector makes a simulation thirty times slower, and a simulation has one goroutine.
const raceDetector = true
