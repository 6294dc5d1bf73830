// Package measure is what the scenarios of `worker bench` and the module bench share:
// quantiles, the machine that figures were taken on, a stream that is filled, and the
// consumer that people write by hand.
//
// What is compared must be the same in both, so it is here once.
package measure
