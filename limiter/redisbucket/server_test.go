package redisbucket_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// A server is a redis-server of its own for one test, on a socket in its directory.
type server struct {
	t      *testing.T
	binary string
	dir    string
	cmd    *exec.Cmd
}

// startServer skips the test where no redis-server is installed.
func startServer(t *testing.T) *server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	dir, err := os.MkdirTemp("", "rb") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, binary: binary, dir: dir}
	t.Cleanup(func() {
		s.stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.start()
	return s
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }
func (s *server) url() string    { return "unix://" + s.socket() }

// start returns when the server answers. It has no memory of an earlier run.
func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command(s.binary, "--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--dir", s.dir)
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	client := s.client()
	defer client.Close()
	for begun := time.Now(); ; {
		if client.Ping(s.t.Context()).Err() == nil {
			return
		}
		if time.Since(begun) > 20*time.Second {
			s.t.Fatal("redis-server does not answer")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stop kills the server.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// client returns a client that is closed by whoever asked for it.
func (s *server) client() redis.UniversalClient {
	s.t.Helper()
	return dial(s.t, s.url())
}

func dial(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisbucket.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newLimiter returns a limiter with a client of its own; both are closed with the test.
func newLimiter(t testing.TB, url string, c redisbucket.Config) *redisbucket.Limiter {
	t.Helper()
	client := dial(t, url)
	l, err := redisbucket.New(client, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		_ = client.Close()
	})
	return l
}

// anyRedis returns the URL of a redis-server, or where none is installed of a miniredis.
func anyRedis(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		return startServer(t).url()
	}
	return "redis://" + miniredis.RunT(t).Addr()
}

// A proxy passes bytes between clients and a server, late if it is told to.
type proxy struct {
	listener net.Listener
	delay    chan time.Duration // holds the one delay of answers
}

func startProxy(t *testing.T, socket string) *proxy {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener, make(chan time.Duration, 1)}
	p.delay <- 0
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		p.serve(ctx, socket)
	}()
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		<-done
	})
	return p
}

func (p *proxy) url() string { return "redis://" + p.listener.Addr().String() }

func (p *proxy) slow(by time.Duration) {
	<-p.delay
	p.delay <- by
}

func (p *proxy) serve(ctx context.Context, socket string) {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		var d net.Dialer
		far, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			_ = near.Close()
			continue
		}
		context.AfterFunc(ctx, func() { _ = errors.Join(near.Close(), far.Close()) })
		go p.copy(far, near, false)
		go p.copy(near, far, true)
	}
}

func (p *proxy) copy(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if answers {
			d := <-p.delay
			p.delay <- d
			time.Sleep(d)
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// most is what the documentation promises: burst + rate·(T+L), in tokens.
func most(rate, burst float64, elapsed, lease time.Duration) float64 {
	return burst + rate*(elapsed+lease).Seconds()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // it tells of each connection that is refused
	os.Exit(runTests(m))       //nolint:forbidigo // this is main, of a test binary
}

// runTests is the process of a child if it was started as one.
func runTests(m *testing.M) int {
	if os.Getenv(childEnv) == "" {
		return m.Run()
	}
	if err := childMain(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
