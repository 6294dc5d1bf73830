package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// ErrNotFound is that a stream does not have a message, or not any more.
var ErrNotFound = errors.New("message not found")

// Get returns the message of a sequence, with its payload.
func Get(ctx context.Context, js jetstream.JetStream, stream string, seq uint64) (Message, error) {
	if seq == 0 { // which the server takes for a mistake in the request
		return Message{}, fmt.Errorf("message 0 of stream %s: %w", stream, ErrNotFound)
	}
	return get(ctx, js, stream, getRequest{Seq: seq})
}

// Next returns the first message from a sequence on whose subject matches, with its
// payload.
func Next(ctx context.Context, js jetstream.JetStream, stream string, from uint64, subject string) (Message, error) {
	return get(ctx, js, stream, getRequest{Seq: max(from, 1), Next: subject})
}

type getRequest struct {
	Seq  uint64 `json:"seq"`
	Next string `json:"next_by_subj,omitempty"`
}

type getResponse struct {
	Error   *jetstream.APIError `json:"error"`
	Message struct {
		Subject  string    `json:"subject"`
		Sequence uint64    `json:"seq"`
		Header   []byte    `json:"hdrs"`
		Data     []byte    `json:"data"`
		Time     time.Time `json:"time"`
	} `json:"message"`
}

// get asks the leader of the stream, which knows what was removed a moment ago.
func get(ctx context.Context, js jetstream.JetStream, stream string, req getRequest) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(req)
	if err != nil {
		return Message{}, err
	}
	answer, err := js.Conn().RequestWithContext(ctx, envelope.APIPrefix(js.Options())+"STREAM.MSG.GET."+stream, body)
	if err != nil {
		return Message{}, fmt.Errorf("get message %d of stream %s: %w", req.Seq, stream, err)
	}
	var resp getResponse
	if err := json.Unmarshal(answer.Data, &resp); err != nil {
		return Message{}, fmt.Errorf("get message %d of stream %s: the answer is not of JetStream: %w", req.Seq, stream, err)
	}
	switch {
	case resp.Error == nil:
		return resp.message()
	case resp.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Message{}, fmt.Errorf("message %d of stream %s: %w", req.Seq, stream, ErrNotFound)
	default:
		return Message{}, fmt.Errorf("get message %d of stream %s: %w", req.Seq, stream, resp.Error)
	}
}

func (r *getResponse) message() (Message, error) {
	m := r.Message
	var header nats.Header
	if len(m.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return Message{}, fmt.Errorf("headers of message %d: %w", m.Sequence, err)
		}
		header = h
	}
	return Message{Subject: m.Subject, Header: header, Data: m.Data, Size: len(m.Data), Sequence: m.Sequence, Time: m.Time}, nil
}
