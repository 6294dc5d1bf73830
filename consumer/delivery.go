package consumer

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// delivery is one message that this process holds, from the moment it arrived on a
// lane to its settlement.
type delivery struct {
	lane  *lane
	msg   Message // what the handler sees
	route *Route  // nil until admitted
	size  int     // bytes, as the budget counts them: on the wire, and what the headers take beyond

	// The message that was delivered: for a copy, the copy. The origin is in msg.
	source source
	chain  *delivery // in the lane's held table

	firstRun  runContext
	laterRun  atomic.Pointer[runContext] // nil during the first run; see beginRun
	started   atomic.Int64               // unix nanoseconds; 0: not running
	overloads int32                      // overload answers so far, for the growing backoff
	settled   atomic.Bool
	lease     lease // guarded by leases.mu
}

// source names one message of a lane's stream.
type source struct {
	sequence uint64
	nanos    int64 // when it was published
}

func (s source) published() time.Time { return time.Unix(0, s.nanos) }

func (d *delivery) origin() envelope.Origin {
	return envelope.Origin{Subject: d.msg.Subject, Stream: d.msg.Stream, Sequence: d.msg.Sequence, Time: d.msg.Published}
}

func (d *delivery) downstream() string {
	if d.route == nil {
		return ""
	}
	return d.route.Downstream
}

// ackMeta is what the ack subject of a message tells.
type ackMeta struct {
	deliveries int
	sequence   uint64 // in the stream
	nanos      int64  // when it was published, unix
	pending    uint64 // not delivered yet, after this one
}

// The numbers of tokens of an ack subject, of which there are two forms:
//
//	$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<deliveries>. … .<pending>[.<random>]
const (
	ackTokensV1 = 9
	ackTokensV2 = 11
	ackPrefix   = "$JS.ACK."
)

// parseAck reads an ack subject of either form. It does what
// [nats.Msg.Metadata] does, without its allocations: it runs once a message. The
// numbers are read from the end, where both forms have them.
func parseAck(reply string) (m ackMeta, ok bool) {
	if !strings.HasPrefix(reply, ackPrefix) {
		return m, false
	}
	switch tokens := strings.Count(reply, ".") + 1; {
	case tokens > ackTokensV2: // what is behind pending says nothing
		for range tokens - ackTokensV2 {
			reply = reply[:strings.LastIndexByte(reply, '.')]
		}
	case tokens != ackTokensV1 && tokens != ackTokensV2:
		return m, false
	}
	var fields [5]uint64 // deliveries, stream sequence, consumer sequence, time, pending
	end := len(reply)
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i], end, ok = lastUint(reply[:end]); !ok {
			return m, false
		}
	}
	return ackMeta{
		deliveries: int(fields[0]),
		sequence:   fields[1],
		nanos:      int64(fields[3]),
		pending:    fields[4],
	}, true
}

// lastUint reads the decimal token at the end of s, and returns where the dot before
// it is. The number fits an int64, as the client reads it.
func lastUint(s string) (n uint64, dot int, ok bool) {
	const maxDigits = 19
	unit := uint64(1)
	for dot = len(s) - 1; dot >= 0 && s[dot] != '.'; dot-- {
		digit := s[dot] - '0'
		if digit > 9 || len(s)-dot > maxDigits {
			return 0, dot, false
		}
		n += uint64(digit) * unit
		unit *= 10
	}
	return n, dot, dot >= 0 && dot < len(s)-1 && n>>63 == 0
}

// isDelivery tells a message from a status: only messages can be acknowledged.
func isDelivery(m *nats.Msg) bool { return strings.HasPrefix(m.Reply, ackPrefix) }
