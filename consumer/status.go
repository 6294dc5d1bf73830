package consumer

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// pullStatus is what a server says about a pull request instead of a message.
type pullStatus uint8

const (
	statusUnknown      pullStatus = iota
	statusHeartbeat               // 100: the request is parked, the consumer alive
	statusDone                    // Batch Completed: the request is over
	statusNothing                 // 404, 408: it is over, and there was no more
	statusTooSmall                // the next message is larger than max_bytes
	statusMoved                   // leadership change, server shutdown: the request is lost
	statusBusy                    // more requests are parked than the consumer takes
	statusLimit                   // the request asks for more than the consumer allows
	statusGone                    // the consumer does not exist (any more), or nobody answers
	statusIncompatible            // the consumer is not one that can be pulled from
)

// pullLimit is a limit of the consumer that a request exceeded.
type pullLimit uint8

const (
	limitBatch pullLimit = iota
	limitExpires
	limitBytes
)

// The texts of the 409 statuses: the server has no codes for them.
var conflicts = []struct {
	prefix string
	status pullStatus
}{
	{"Batch Completed", statusDone},
	{"Message Size Exceeds MaxBytes", statusTooSmall},
	{"Leadership Change", statusMoved},
	{"Server Shutdown", statusMoved},
	{"Exceeded MaxWaiting", statusBusy},
	{"Exceeded MaxRequest", statusLimit},
	{"Consumer Deleted", statusGone},
	{"Consumer is push based", statusIncompatible},
}

// readStatus reads a status message, and its text for the log.
func readStatus(m *nats.Msg) (pullStatus, string) {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	full := strings.TrimSpace(code + " " + text)
	switch code {
	case "100":
		return statusHeartbeat, full
	case "404", "408":
		return statusNothing, full
	case "400", "503":
		return statusGone, full
	case "412":
		return statusIncompatible, full
	case "409":
		for _, c := range conflicts {
			if strings.HasPrefix(text, c.prefix) {
				return c.status, full
			}
		}
	}
	return statusUnknown, full
}

// readLimit reads which limit a request exceeded, and its value if the text tells
// it: "409 Exceeded MaxRequestBatch of 10".
func readLimit(text string) (limit pullLimit, value int64) {
	_, text, _ = strings.Cut(text, "Exceeded ")
	name, of, _ := strings.Cut(text, " of ")
	switch name {
	case "MaxRequestExpires":
		d, err := time.ParseDuration(of)
		if err != nil {
			d = 0
		}
		return limitExpires, int64(d)
	case "MaxRequestMaxBytes":
		limit = limitBytes
	default:
		limit = limitBatch
	}
	n, err := strconv.ParseInt(of, 10, 64)
	if err != nil {
		n = 0
	}
	return limit, n
}
