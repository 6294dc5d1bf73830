package measure

import (
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// poolBuffer is how many messages wait in the channel of a Pool.
const poolBuffer = 1024

// A Pool is the consumer that people write by hand: Consume into a channel that workers read.
type Pool struct {
	handle   func(jetstream.Msg)
	messages chan jetstream.Msg
	quit     chan struct{}
	running  jetstream.ConsumeContext
	workers  sync.WaitGroup
}

// StartPool starts one with so many workers. handle is to settle the message.
func StartPool(durable jetstream.Consumer, workers int, handle func(m jetstream.Msg)) (*Pool, error) {
	p := &Pool{handle: handle, messages: make(chan jetstream.Msg, poolBuffer), quit: make(chan struct{})}
	for range workers {
		p.workers.Go(p.work)
	}
	var err error
	p.running, err = durable.Consume(func(m jetstream.Msg) {
		select {
		case p.messages <- m:
		case <-p.quit:
		}
	})
	if err != nil {
		close(p.quit)
		p.workers.Wait()
		return nil, err
	}
	return p, nil
}

func (p *Pool) work() {
	for {
		select { // what is to quit does not take one more message
		case <-p.quit:
			return
		default:
		}
		select {
		case m := <-p.messages:
			p.handle(m)
		case <-p.quit:
			return
		}
	}
}

// Stop ends it as most programs do: no more messages, handlers that run are waited for, and
// what waits is left to AckWait.
func (p *Pool) Stop() {
	close(p.quit)
	p.running.Stop()
	<-p.running.Closed()
	p.workers.Wait()
}
