package dlq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
)

func TestALostAnswerMakesNeitherALossNorADouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.Letters = h.of(&lossy{JetStream: h.js, lose: 3}, "worker")
		h.died(letter{tenant: "acme"})
		rs := h.replayAll(dlq.Replay{})
		if len(rs) != 1 || rs[0].Err != nil || !rs[0].Removed || rs[0].Copy != 1 {
			t.Errorf("replayed %+v", rs)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS_OVERFLOW": 1})
	})
}

func TestWithoutAnAnswerTheEntryStaysAndTheReplayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.died(letter{tenant: "acme"})
		h.died(letter{tenant: "acme"})
		h.Letters = h.of(&lossy{JetStream: h.js, lose: 1 << 30}, "worker")
		var rs []dlq.Result
		var last error
		for r, err := range h.Replay(t.Context(), h.List(t.Context(), dlq.Filter{}), dlq.Replay{}) {
			rs, last = append(rs, r), err
		}
		if len(rs) != 1 || rs[0].Removed || last == nil || !strings.Contains(last.Error(), "a copy may have been made") {
			t.Errorf("replayed %+v, ended with %v", rs, last)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 2, "JOBS_OVERFLOW": 1})
	})
}

func TestAnEntryThatWasCopiedByAReplayThatWasKilledIsKeptAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.died(letter{tenant: "acme"})
		killed, cancel := context.WithCancel(t.Context())
		js := &killedAfterPublish{JetStream: h.js, kill: cancel}
		for range h.of(js, "worker").Replay(killed, h.List(t.Context(), dlq.Filter{}), dlq.Replay{}) {
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 1, "JOBS_OVERFLOW": 1})

		rs := h.replayAll(dlq.Replay{})
		if len(rs) != 1 || rs[0].Removed || !errors.Is(rs[0].Err, dlq.ErrDuplicate) {
			t.Errorf("replayed %+v, want a duplicate", rs)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 1, "JOBS_OVERFLOW": 1})

		time.Sleep(2 * time.Minute) // past the duplicate window: doubled, and said to be
		if rs := h.replayAll(dlq.Replay{}); len(rs) != 1 || !rs[0].Removed {
			t.Errorf("replayed %+v", rs)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS_OVERFLOW": 2})
	})
}

func TestAReplaySurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		for i := range 5 {
			h.died(letter{tenant: fmt.Sprint(i)})
		}
		entries := slices.Values(h.list(dlq.Filter{}))
		n := 0
		for r, err := range h.Replay(t.Context(), withoutErrors(entries), dlq.Replay{}) {
			if err != nil || r.Err != nil {
				t.Fatal(r.Err, err)
			}
			if n++; n == 2 {
				h.server.CutConnections(t)
			}
		}
		if n != 5 {
			t.Errorf("replayed %d of 5", n)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS_OVERFLOW": 5})
	})
}

// killedAfterPublish is a JetStream whose program is killed when the answer to a
// publication has come.
type killedAfterPublish struct {
	jetstream.JetStream
	kill func()
}

func (k *killedAfterPublish) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := k.JetStream.PublishMsg(ctx, m, opts...)
	k.kill()
	return ack, err
}
