package redisbucket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// A fake stands for Redis where time is virtual: it does in Go what the scripts do, which
// TestTheScriptDoesWhatTheModelDoes compares. It can be away, stall and be late.
type fake struct {
	mu      sync.Mutex
	model   model
	scripts map[string]bool
	skew    time.Duration // of its clock
	delay   time.Duration // before a command is run
	away    bool          // connections are refused, and cut
	stalled chan struct{} // nil: it runs
	cut     context.Context
	sever   context.CancelFunc
	trips   int // scripts run
}

func newFake() *fake {
	f := &fake{model: newModel(), scripts: make(map[string]bool)}
	f.cut, f.sever = context.WithCancel(context.Background())
	return f
}

// client returns a client that reaches f through pipes.
func (f *fake) client() redis.UniversalClient {
	return redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, DialerRetries: 1, // nobody dials it
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}, // would look up names
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.away {
				return nil, errors.New("connection refused")
			}
			near, far := net.Pipe()
			context.AfterFunc(f.cut, func() { _ = far.Close() })
			go f.serve(far)
			return near, nil
		},
	})
}

// change does something to f.
func (f *fake) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) stop() {
	f.change(func() { f.away = true })
	f.sever()
}

func (f *fake) start() {
	f.change(func() {
		f.away, f.model = false, newModel()
		clear(f.scripts)
		f.cut, f.sever = context.WithCancel(context.Background())
	})
}

func (f *fake) stall() { f.change(func() { f.stalled = make(chan struct{}) }) }

func (f *fake) resume() {
	f.change(func() {
		close(f.stalled)
		f.stalled = nil
	})
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		args, err := readCommand(r)
		if err != nil {
			return
		}
		f.mu.Lock()
		delay, stalled := f.delay, f.stalled
		f.mu.Unlock()
		time.Sleep(delay)
		if stalled != nil {
			<-stalled
		}
		if _, err := io.WriteString(conn, f.answer(args)); err != nil {
			return
		}
	}
}

// readCommand reads an array of strings.
func readCommand(r *bufio.Reader) ([]string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	args := make([]string, max(n, 0))
	for i := range args {
		if line, err = r.ReadString('\n'); err != nil {
			return nil, err
		}
		size, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		buf := make([]byte, size+2)
		if _, err := io.ReadFull(r, buf); err != nil {
			return nil, err
		}
		args[i] = string(buf[:size])
	}
	return args, err
}

func (f *fake) answer(args []string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now().Add(f.skew).UnixMicro()
	switch strings.ToUpper(args[0]) {
	case "EVALSHA":
		if !f.scripts[strconv.Itoa(len(args))] {
			return "-NOSCRIPT No matching script\r\n"
		}
	case "EVAL":
		f.scripts[strconv.Itoa(len(args))] = true
	default:
		return "-ERR unknown command\r\n"
	}
	f.trips++
	if len(args) == 4+2 {
		return fmt.Sprintf(":%d\r\n", f.model.live(now/1000, args[4], atoi(args[5])))
	}
	n, left, next := f.model.take(now, args[3], atof(args[4]), atof(args[5]), atoi(args[6]), atoi(args[7]), atof(args[8]))
	return fmt.Sprintf("*3\r\n:%d\r\n:%d\r\n:%d\r\n", n, left, next)
}

func atoi(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

func atof(s string) float64 {
	x, _ := strconv.ParseFloat(s, 64)
	return x
}

// A model is what the scripts do.
type model struct {
	buckets map[string]bucketState
	lives   map[string]int64 // until when, ms
}

type bucketState struct {
	tokens float64
	at     int64 // µs
}

func newModel() model {
	return model{make(map[string]bucketState), make(map[string]int64)}
}

func (m model) take(now int64, key string, rate, capacity float64, want, least int64, bound float64) (n, left, next int64) {
	tokens, write := capacity, false
	if s, ok := m.buckets[key]; ok {
		tokens = min(capacity, s.tokens+float64(max(0, now-s.at))*rate)
		write = now < s.at
	}
	if tokens > bound {
		tokens, write = bound, true
	}
	if n = min(want, int64(math.Floor(tokens))); n < least {
		n = 0
	}
	if n > 0 || write {
		tokens -= float64(n)
		m.buckets[key] = bucketState{tokens, now}
	}
	left = int64(math.Floor(tokens))
	return n, left, int64(min(math.Ceil((float64(left)+1-tokens)/rate), 1e15))
}

func (m model) live(now int64, id string, life int64) int {
	for id, until := range m.lives {
		if until <= now {
			delete(m.lives, id)
		}
	}
	if life > 0 {
		m.lives[id] = now + life
	} else {
		delete(m.lives, id)
	}
	return len(m.lives)
}

// limiters returns a fleet on f, and what closes it. It is for bubbles, whose goroutines must
// have ended with the test.
func (f *fake) limiters(t *testing.T, n int, c redisbucket.Config) (fleet []*redisbucket.Limiter, done func()) {
	t.Helper()
	var clients []redis.UniversalClient
	for range n {
		client := f.client()
		l, err := redisbucket.New(client, c)
		if err != nil {
			t.Fatal(err)
		}
		fleet, clients = append(fleet, l), append(clients, client)
	}
	return fleet, func() {
		for i, l := range fleet {
			l.Close()
			_ = clients[i].Close()
		}
		f.sever()
	}
}
