// Command worker runs Spillway from a config file: it consumes a JetStream stream
// with handlers that post to a URL, run a command, or discard. Its other
// subcommands look at what it does and tidy up behind it.
//
//	worker run --config worker.yaml
//
// Each subcommand is a file here. What they are made of is in internal: config (the
// file, read by strictyaml), handlers, natslink (the connection and the embedded
// server), logging, terminal, demo, dlq (dead letters), lag (the backlog), and scan,
// which reads streams for both.
//
// The exit code is 0 after a clean end, 1 when something failed, 2 when the command
// line or a file is wrong, 3 when NATS was not there at the start, and 4 when the drain
// ran out of time. Without a command the help is shown, and the exit code is 2.
package main
