package redisbucket_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

func TestDialTakesTheURLsOfGoRedis(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"redis://user:pw@127.0.0.1:6379/3?pool_size=7", "one 127.0.0.1:6379 db 3 pool 7 tls false"},
		{"rediss://127.0.0.1:6380", "one 127.0.0.1:6380 db 0 pool 0 tls true"},
		{"unix:///run/redis.sock?db=2", "one /run/redis.sock db 2 pool 0 tls false"},
		{"redis://127.0.0.1:6379?addr=127.0.0.2:6379", "cluster [127.0.0.1:6379 127.0.0.2:6379] tls false"},
		{"rediss+cluster://127.0.0.1:6379", "cluster [127.0.0.1:6379] tls true"},
		{"redis://127.0.0.1:26379/1?master_name=main&addr=127.0.0.2:26379", "one FailoverClient db 1 pool 0 tls false"},
	} {
		client, err := redisbucket.Dial(tt.url)
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		var got string
		switch c := client.(type) {
		case *redis.Client:
			o := c.Options()
			pool := o.PoolSize
			if pool != 7 {
				pool = 0 // the default follows the machine
			}
			got = fmt.Sprintf("one %s db %d pool %d tls %t", o.Addr, o.DB, pool, o.TLSConfig != nil)
			if !o.ContextTimeoutEnabled {
				t.Errorf("%s: calls outlive their contexts", tt.url)
			}
		case *redis.ClusterClient:
			got = fmt.Sprintf("cluster %v tls %t", c.Options().Addrs, c.Options().TLSConfig != nil)
			if !c.Options().ContextTimeoutEnabled {
				t.Errorf("%s: calls outlive their contexts", tt.url)
			}
		}
		if got != tt.want {
			t.Errorf("%s is %s, want %s", tt.url, got, tt.want)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDialKeepsPasswordsToItself(t *testing.T) {
	for _, url := range []string{
		"redis://user:secret@host:port", "redis+cluster://user:secret@host:port", "http://user:secret@host",
		"redis://user:secret@host:1/x", "redis://user:secret@host:1?nonsense=1", "redis://user:sec ret%zz@host", "secret", "",
	} {
		client, err := redisbucket.Dial(url)
		if err == nil {
			_ = client.Close()
			t.Errorf("%q is taken", url)
			continue
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec ret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// A cluster of one: what must be right is that each script has its keys in one slot.
func TestAClusterTakesTheKeys(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	port, bus := freePort(t), freePort(t)
	cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", bus, "--save", "", "--dir", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	one := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port})
	defer one.Close()
	eventually(t, "the cluster is whole", func() bool {
		_ = one.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", "0", "16383").Err() // once it answers
		info, err := one.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	l := newLimiter(t, "redis+cluster://127.0.0.1:"+port, patient(perSecond(1, 5)))
	for _, key := range []string{"a", "b", "{", "}", "{}", "a{b}c", "spa ce", "\x00"} {
		eventually(t, "a bucket in the cluster", func() bool {
			ok, err := l.AllowN(t.Context(), key, 2)
			if err != nil {
				t.Fatal(err)
			}
			return ok && l.Stats().WithoutRedis == 0
		})
		if state, err := one.Get(t.Context(), "spillway:rate:{"+key+"}").Result(); err != nil {
			t.Errorf("key %q: %q, %v", key, state, err)
		}
	}
	eventually(t, "it is counted", func() bool {
		n, err := one.ZCard(t.Context(), "spillway:rate:processes").Result()
		return err == nil && n == 1
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Behind sentinels: the one that is asked names the server.
func TestSentinelsNameTheServer(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	dir, port, sentinel := t.TempDir(), freePort(t), freePort(t)
	run := func(args ...string) func() {
		cmd := exec.Command(binary, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	defer run("--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir)()
	config := dir + "/sentinel.conf"
	writeFile(t, config, "port "+sentinel+"\nbind 127.0.0.1\ndir "+dir+"\nsentinel monitor main 127.0.0.1 "+port+" 1\n")
	defer run(config, "--sentinel")()
	one := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + sentinel})
	defer one.Close()
	eventually(t, "the sentinel answers", func() bool { return one.Ping(t.Context()).Err() == nil })
	l := newLimiter(t, "redis://127.0.0.1:"+sentinel+"?master_name=main", patient(perSecond(1_000, 5)))
	eventually(t, "Redis decides", func() bool {
		_, err := l.Allow(t.Context(), "k")
		s := l.Stats()
		return err == nil && s.Fetches > 0 && s.Admitted > s.WithoutRedis && !s.Degraded
	})
}
