package consumer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"
)

// ackSubject draws the acknowledgement subject of a message, in either form.
func ackSubject(t *rapid.T) string {
	name := rapid.StringMatching(`[A-Za-z0-9_-]{1,20}`)
	n := func(most uint64, label string) uint64 { return rapid.Uint64Range(0, most).Draw(t, label) }
	tail := fmt.Sprintf("%s.%s.%d.%d.%d.%d.%d", name.Draw(t, "stream"), name.Draw(t, "consumer"),
		n(1<<31, "deliveries"), n(1<<62, "sequence"), n(1<<62, "consumer sequence"), n(1<<62, "time"), n(1<<62, "pending"))
	switch rapid.IntRange(0, 2).Draw(t, "form") {
	case 0:
		return "$JS.ACK." + tail
	case 1:
		return "$JS.ACK." + name.Draw(t, "domain") + "." + name.Draw(t, "account") + "." + tail
	default:
		return "$JS.ACK._." + name.Draw(t, "account") + "." + tail + "." + name.Draw(t, "random")
	}
}

func TestAnAckSubjectIsReadAsTheClientReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reply := ackSubject(t)
		got, ok := parseAck(reply)
		want, err := (&nats.Msg{Reply: reply, Sub: new(nats.Subscription)}).Metadata()
		if err != nil || !ok {
			t.Fatalf("%q: read %v, the client says %v", reply, ok, err)
		}
		if uint64(got.deliveries) != want.NumDelivered || got.sequence != want.Sequence.Stream ||
			got.nanos != want.Timestamp.UnixNano() || got.pending != want.NumPending {
			t.Fatalf("%q is %+v, want %+v", reply, got, want)
		}
	})
}

func FuzzParseAck(f *testing.F) {
	for _, s := range []string{
		"$JS.ACK.JOBS.w.1.2.3.1700000000000000000.5",
		"$JS.ACK._.ACC.JOBS.w.1.2.3.1700000000000000000.5.x",
		"$JS.ACK.hub.ACC.JOBS.w.1.2.3.1700000000000000000.5",
		"$JS.ACK.........", "$JS.ACK.JOBS.w.1.2.3.-4.5", "$JS.ACK.JOBS.w.99999999999999999999.2.3.4.5", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, reply string) {
		got, ok := parseAck(reply)
		if !ok {
			return
		}
		if !isDelivery(&nats.Msg{Reply: reply}) {
			t.Errorf("%q was read, but is not the subject of a delivery", reply)
		}
		want, err := (&nats.Msg{Reply: reply, Sub: new(nats.Subscription)}).Metadata()
		if err != nil {
			t.Fatalf("%q was read, the client says %v", reply, err)
		}
		if got.sequence != want.Sequence.Stream || got.nanos != want.Timestamp.UnixNano() || got.deliveries < 0 {
			t.Errorf("%q is %+v, want %+v", reply, got, want)
		}
	})
}

func TestEachStatusOfTheServerIsKnown(t *testing.T) {
	for _, tt := range []struct {
		code, text string
		want       pullStatus
	}{
		{"100", "Idle Heartbeat", statusHeartbeat},
		{"404", "No Messages", statusNothing},
		{"408", "Request Timeout", statusNothing},
		{"408", "Requests Pending", statusNothing},
		{"409", "Batch Completed", statusDone},
		{"409", "Message Size Exceeds MaxBytes", statusTooSmall},
		{"409", "Leadership Change", statusMoved},
		{"409", "Server Shutdown", statusMoved},
		{"409", "Exceeded MaxWaiting", statusBusy},
		{"409", "Exceeded MaxRequestBatch of 10", statusLimit},
		{"409", "Exceeded MaxRequestExpires of 1m30s", statusLimit},
		{"409", "Exceeded MaxRequestMaxBytes of 1024", statusLimit},
		{"409", "Consumer Deleted", statusGone},
		{"400", "Bad Request - heartbeat value too large", statusGone},
		{"503", "", statusGone},
		{"409", "Consumer is push based", statusIncompatible},
		{"409", "something of a later server", statusUnknown},
		{"", "", statusUnknown},
	} {
		m := &nats.Msg{Header: nats.Header{"Status": {tt.code}, "Description": {tt.text}}}
		got, text := readStatus(m)
		if got != tt.want || text != strings.TrimSpace(tt.code+" "+tt.text) {
			t.Errorf("%s %s is status %d, %q; want %d", tt.code, tt.text, got, text, tt.want)
		}
	}
	if got, _ := readStatus(&nats.Msg{}); got != statusUnknown {
		t.Errorf("a message without headers has status %d", got)
	}
}

func TestTheValueOfALimitIsReadFromItsText(t *testing.T) {
	for _, tt := range []struct {
		text  string
		limit pullLimit
		value int64
	}{
		{"409 Exceeded MaxRequestBatch of 10", limitBatch, 10},
		{"409 Exceeded MaxRequestMaxBytes of 1048576", limitBytes, 1 << 20},
		{"409 Exceeded MaxRequestExpires of 1m30s", limitExpires, int64(90 * time.Second)},
		{"409 Exceeded MaxRequestExpires of 200ms", limitExpires, int64(200 * time.Millisecond)},
		{"409 Exceeded MaxRequestExpires of soon", limitExpires, 0},
		{"409 Exceeded MaxRequestBatch", limitBatch, 0},
		{"409 Exceeded MaxRequestBatch of -1", limitBatch, -1},
	} {
		if limit, value := readLimit(tt.text); limit != tt.limit || value != tt.value {
			t.Errorf("%q is %d of %d, want %d of %d", tt.text, limit, value, tt.limit, tt.value)
		}
	}
}

// Whatever a server says, a lane asks for something that is possible afterwards.
func FuzzReadLimit(f *testing.F) {
	for _, s := range []string{"409 Exceeded MaxRequestBatch of 10", "409 Exceeded MaxRequestExpires of -5s", "Exceeded  of ", "409 Exceeded MaxRequestMaxBytes of 99999999999999999999"} {
		f.Add(s, int64(256))
	}
	f.Fuzz(func(t *testing.T, text string, asked int64) {
		if asked < 1 {
			return
		}
		_, value := readLimit(text)
		if got := clampTo(value, asked); got < 1 || got > asked {
			t.Errorf("%q makes %d of %d", text, got, asked)
		}
	})
}
