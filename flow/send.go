package flow

import (
	"context"
	"time"
)

// SendWithTimeout sends v to ch. It returns ErrTimeout if nobody has received it, and there
// was no room in the buffer, within d, and the error of ctx if that ends before. With d 0
// or less it only tries. It leaves no timer behind. Like any send, it panics if ch is
// closed.
func SendWithTimeout[T any](ctx context.Context, ch chan<- T, v T, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case ch <- v:
		return nil
	default:
	}
	if d <= 0 {
		return ErrTimeout
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case ch <- v:
		return nil
	case <-timer.C:
		return ErrTimeout
	case <-ctx.Done():
		return ctx.Err()
	}
}
