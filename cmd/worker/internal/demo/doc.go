// Package demo is what "worker demo" shows: tenants that publish, a downstream that
// answers, what each tenant gets of it, and at the end what became of every message.
//
// Three scenarios follow each other: normal; spike, in which one tenant publishes ten
// times as much; and slow downstream, in which answers take ten times as long.
package demo
