package consumer

import "strconv"

// wireRequest is a pull request as the server reads it.
func (l *lane) wireRequest(batch int, bytes int64) []byte {
	b := append(make([]byte, 0, 128), `{"batch":`...)
	b = strconv.AppendInt(b, int64(batch), 10)
	if l.kind == LaneOverflow { // it is answered at once: what is reserved for it is for others soon
		b = append(b, `,"no_wait":true`...)
		return append(appendMaxBytes(b, bytes), '}')
	}
	b = append(b, `,"expires":`...)
	b = strconv.AppendInt(b, int64(l.limits.expires), 10)
	b = append(b, `,"idle_heartbeat":`...)
	b = strconv.AppendInt(b, int64(heartbeat(l.limits.expires)), 10)
	return append(appendMaxBytes(b, bytes), '}')
}

func appendMaxBytes(b []byte, bytes int64) []byte {
	if bytes > 0 {
		b = append(b, `,"max_bytes":`...)
		b = strconv.AppendInt(b, bytes, 10)
	}
	return b
}

// PullError says why a pull request was lost.
type PullError struct {
	Lane     Lane
	Consumer string
	Text     string // what the server said
}

func (e *PullError) Error() string {
	return "consumer: lane " + string(e.Lane) + ": pull from " + e.Consumer + ": " + e.Text
}
