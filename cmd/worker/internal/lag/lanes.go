package lag

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// Lane is what one lane still has to do, in all processes.
type Lane struct {
	Lane        consumer.Lane `json:"lane"`
	Stream      string        `json:"stream"`
	Consumer    string        `json:"consumer"`
	Pending     uint64        `json:"pending"`     // in the stream, not delivered yet
	AckPending  uint64        `json:"ack_pending"` // delivered and not settled
	Redelivered uint64        `json:"redelivered"` // of these, delivered more than once
	Delivered   uint64        `json:"delivered"`   // the last sequence that was delivered
	Floor       uint64        `json:"floor"`       // up to this sequence everything is settled
	// Oldest is when the first message in the stream that is not settled was
	// published, and OldestAge how long ago. Zero: there is none.
	Oldest    time.Time     `json:"oldest,omitzero"`
	OldestAge time.Duration `json:"oldest_age_ns"`
	// Missing says why nothing can be told.
	Missing string `json:"missing,omitempty"`
}

func lanesOf(cfg Config) []Lane {
	return []Lane{
		{Lane: consumer.LaneMain, Stream: cfg.Stream, Consumer: cfg.Durable},
		{Lane: consumer.LaneRetry, Stream: cfg.Overflow, Consumer: envelope.RetryConsumer(cfg.Durable)},
		{Lane: consumer.LaneSuspect, Stream: cfg.Overflow, Consumer: envelope.SuspectConsumer(cfg.Durable)},
	}
}

// read fills in the numbers of l; main is the durable, which is there.
func (l *Lane) read(ctx context.Context, js jetstream.JetStream, main jetstream.Consumer, now time.Time) error {
	cons := main
	if l.Lane != consumer.LaneMain {
		var err error
		cons, err = js.Consumer(ctx, l.Stream, l.Consumer)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			l.Missing = fmt.Sprintf("consumer %s does not exist on stream %s", l.Consumer, l.Stream)
			return nil
		case errors.Is(err, jetstream.ErrStreamNotFound):
			l.Missing = fmt.Sprintf("stream %s does not exist", l.Stream)
			return nil
		case err != nil:
			return err
		}
	}
	return l.fill(ctx, js, cons.CachedInfo(), now)
}

func (l *Lane) fill(ctx context.Context, js jetstream.JetStream, info *jetstream.ConsumerInfo, now time.Time) (err error) {
	l.Pending, l.AckPending, l.Redelivered = info.NumPending, uint64(info.NumAckPending), uint64(info.NumRedelivered)
	l.Delivered, l.Floor = info.Delivered.Stream, info.AckFloor.Stream
	if l.Pending+l.AckPending == 0 {
		return nil
	}
	if l.Oldest, err = l.oldest(ctx, js, info); err != nil {
		return err
	}
	if !l.Oldest.IsZero() {
		l.OldestAge = max(now.Sub(l.Oldest), 0)
	}
	return nil
}

// oldest returns when the first message after the floor was published: as the floor
// is below the first that is not settled, that is it. It may have been settled since.
func (l *Lane) oldest(ctx context.Context, js jetstream.JetStream, info *jetstream.ConsumerInfo) (time.Time, error) {
	var first scan.Message
	for _, filter := range scan.FiltersOf(info.Config) {
		m, err := scan.Next(ctx, js, l.Stream, info.AckFloor.Stream+1, filter)
		if errors.Is(err, scan.ErrNotFound) {
			continue
		}
		if err != nil {
			return time.Time{}, err
		}
		if first.Sequence == 0 || m.Sequence < first.Sequence {
			first = m
		}
	}
	return published(l.Lane, first), nil
}

// published returns when the message was published that m is, or that it is a copy
// of. On the main lane nothing is a copy, and what says so is forged.
func published(lane consumer.Lane, m scan.Message) time.Time {
	if lane == consumer.LaneMain {
		return m.Time
	}
	if _, origin, ok := envelope.Restore(m.Header); ok && !origin.Time.IsZero() {
		return origin.Time
	}
	return m.Time
}
