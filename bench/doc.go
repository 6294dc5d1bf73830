// Command bench measures Spillway beside its peers, in one run on one machine, and
// says whether the figures it claims hold there.
//
//	go run . [flags] throughput|distance|isolation|memory|scheduler|overload|primitives|redis|all
//
// Every scenario runs on an embedded nats-server with file storage in a temporary
// directory. Contestants take turns, round by round, on streams that were filled
// before; a figure is the median of its rounds, a ratio the median of the ratios of
// each round, so that a neighbour's noise hits both sides of it.
//
// The result is a table of claims, or JSON with --json. The exit code is 0 when all
// bounds hold, 1 when one is missed or a run failed, 2 for wrong usage.
//
// It is a module of its own, so that the peers never enter the module of Spillway.
//
// # Files
//
// main, settings: the command. report: what it prints. server, fill:
// the NATS that is measured on; distance: how far away it is. throughput: rounds of
// races; race: one contestant against the clock, cpu and profile beside it; plain,
// watermill, spillway: the contestants. isolation: rounds of laps; lap: a flood beside
// a quiet tenant. memory: consumers in processes of their own; child: such a process,
// gauge: what it uses. scheduler: the queues alone. primitives: the packages that need no
// NATS, each beside its peers; primitives_flow: pools. primitives_redis: rates of a
// fleet, on a redis-server of its own.
package main
