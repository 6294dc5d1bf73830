package consumer

// A turn is had by one at a time; others wait for it in take. It is no lock: nobody who has it
// is waited for by the flow of messages, and user code may run in it, which must not take it.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take() { t <- struct{}{} }
func (t turn) give() { <-t }
