// Package scenario proves what Spillway claims, on the machine it runs on: each scenario
// brings a claim about, beside a consumer written by hand with nats.go, and compares what
// it saw with the bound of the claim. It is what `worker bench` runs.
//
//	report := scenario.Run(ctx, scenario.Config{URL: url, Connect: connect}, scenario.All())
//	err := report.WriteTable(os.Stdout)
//
// # What a row says
//
// A scenario returns rows: what is claimed, what the plain consumer did, what Spillway did,
// the bound, and a verdict of three words:
//
//	ok        the bound holds
//	short     it does not, or the scenario could not be brought to its end
//	skipped   not run here; the note says why
//
// A row whose Exact is true does not depend on how fast the machine is: nothing lost, nothing
// twice, no attempt spent. It must hold on any machine and at any scale. All others are
// measured, and only say something if the machine had nothing else to do: Run watches what
// other programs take of the processors, and says so in Report.Disturbed.
//
// # The plain consumer
//
// It is what people write: Consume into a channel that as many workers read as Spillway has,
// an Ack after success, a NakWithDelay after an error. See [Plain].
//
// # Where scenarios run
//
// Each has a stream of its own, whose name no other stream has, and which is removed with all
// that was made beside it when the scenario ends, however it ends. So they can run against a
// server that is in use; those that would burden it too much say so in Scenario.Embedded.
//
// # To add one
//
// A scenario is a file with a function that takes a [Rig] and returns rows, and a line in
// [All]. It takes sizes from Rig.Count and times from Rig.Span, so that a test runs it small;
// randomness from Rig.Rand; and it never sleeps until something has happened: it waits for it.
package scenario
