// Command worker runs Spillway from a config file: it consumes a JetStream stream
// with handlers that post to a URL, run a command, or discard. Its other
// subcommands look at what it does and tidy up behind it.
//
//	worker run --config worker.yaml
//
// Each subcommand is a file here. What they are made of is in internal: config (the
// file, read by strictyaml), handlers, natslink (the connection and the embedded
// server), logging, demo, dlq (dead letters) and lag (the backlog).
//
// The exit code is 0 after a clean end, 1 when something failed, 2 when the command
// line or the config is wrong, 3 when NATS was not there at the start, and 4 when the
// drain ran out of time.
package main
