package flow

import (
	"cmp"
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned for what is submitted after Close.
	ErrClosed = errors.New("flow: closed")

	// ErrShed is returned by a Pool that sheds: its queue has been above PoolConfig.ShedAbove,
	// and not below ResumeBelow since.
	ErrShed = errors.New("flow: the queue is shedding")

	// ErrTimeout is returned by SendWithTimeout when nobody received in time.
	ErrTimeout = errors.New("flow: nobody received in time")

	// ErrNoJob is returned for a job or function that is nil.
	ErrNoJob = errors.New("flow: the job is nil")

	// ErrNoClass is returned by a Bulkhead for a class that it does not have.
	ErrNoClass = errors.New("flow: no such class")
)

// errFull never leaves the package: who finds a queue full waits, or is told false.
var errFull = errors.New("flow: the queue is full")

// errGoexit is what became of a function that ended its goroutine instead of returning.
var errGoexit = errors.New("flow: the function called runtime.Goexit")

// PanicError is the error of a function that panicked, where an error is all that the
// panic may cost: in a stage of a Pipeline, or a call of a Hedge.
type PanicError struct {
	Value any    // of the panic
	Stack []byte // of the goroutine that panicked
}

// Error gives the value of the panic, without the stack.
func (e *PanicError) Error() string { return fmt.Sprintf("flow: panic: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// within complains if n is not from least to most. For a field whose zero value is a
// default least is 0.
func within[N cmp.Ordered](field string, n, least, most N) error {
	if n >= least && n <= most { // so that NaN is refused
		return nil
	}
	return fmt.Errorf("%s is %v: must be from %v to %v", field, n, least, most)
}

func orDefault[N cmp.Ordered](n, def N) N { return cmp.Or(n, def) }
