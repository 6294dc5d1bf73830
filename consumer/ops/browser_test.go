package ops_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/spillwaymq/spillway/consumer/ops"
)

// browser is a headless Chromium that has a page open, and what went wrong in it.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex // guards the rest; the browser's events come at any time
	problems []string
	asked    []string // URLs
	lax      bool     // failed requests are part of the test
}

var chromium = sync.OnceValue(func() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
})

// newBrowser starts one for the test, which is skipped only where there is none. It fails the
// test at its end if the page logged an error, broke its policy or asked another host.
func newBrowser(t *testing.T, width, height int64, flags ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	path := chromium()
	if path == "" {
		t.Skip("there is no chromium on the PATH")
	}
	t.Parallel() // most of the time a page waits
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(int(width), int(height)))
	alloc, stop := chromedp.NewExecAllocator(t.Context(), append(options, flags...)...)
	b := &browser{t: t}
	ctx, cancel := chromedp.NewContext(alloc, chromedp.WithListener(b.event))
	b.ctx = ctx
	t.Cleanup(func() {
		cancel()
		stop()
		b.check()
	})
	if err := chromedp.Do(ctx); err != nil { // starts it, with a context that lasts
		t.Fatal(err)
	}
	call(b, log.Enable, cdp.Empty{})
	call(b, network.Enable, network.EnableParams{})
	b.do(chromedp.EmulateViewport(width, height))
	return b
}

func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) event(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, "exception: "+ev.ExceptionDetails.Text+" "+describe(ev.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		b.problems = append(b.problems, "console: "+string(ev.Type))
	case *log.EventEntryAdded:
		if ev.Entry.Source != log.EntrySourceNetwork || !b.lax {
			b.problems = append(b.problems, "log: "+ev.Entry.Text+" "+ev.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, ev.Request.URL)
	}
}

func (b *browser) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("the page: %s", p)
	}
	for _, url := range b.asked {
		if !strings.HasPrefix(url, "http://127.0.0.1:") {
			b.t.Errorf("the page asked %s", url)
		}
	}
}

// do runs actions, within a time that only a page that hangs needs.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	run(b, chromedp.Steps(actions...))
}

func run[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 15*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// open loads a page, and returns when it has shown news.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
	b.await(`document.getElementById("live").dataset.state === "flowing"`)
}

// await returns when a script is true.
func (b *browser) await(script string) {
	b.t.Helper()
	b.do(chromedp.Poll[chromedp.Void](script, chromedp.WithPollingInterval(20*time.Millisecond)))
}

// read returns the value of a script.
func read[T any](b *browser, script string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](script, options...))
}

// awaited is for scripts that return a promise.
func awaited(p *runtime.EvaluateParams) { p.AwaitPromise = new(true) }

// prefer sets the scheme that the browser's user is said to like.
func (b *browser) prefer(scheme string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// theatre serves a scene to browsers, and lets it go on in real time.
type theatre struct {
	t      *testing.T
	server *httptest.Server
	url    string
	plays  atomic.Pointer[http.Handler]
	end    func() // of what plays
}

// perform begins with s. Around the handler of the page is wrap, if that is given.
func perform(t *testing.T, s *scene, cfg ops.Config, wrap func(http.Handler) http.Handler) *theatre {
	t.Helper()
	th := &theatre{t: t, end: func() {}}
	th.play(s, cfg, wrap)
	th.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*th.plays.Load()).ServeHTTP(w, r) }))
	th.url = th.server.URL + "/"
	t.Cleanup(func() {
		th.end()
		th.server.CloseClientConnections()
		th.server.Close()
	})
	return th
}

// play replaces what is played, as a worker that was restarted.
func (th *theatre) play(s *scene, cfg ops.Config, wrap func(http.Handler) http.Handler) {
	th.t.Helper()
	th.end()
	cfg.Consumer, cfg.Listen = s, local
	h, err := ops.New(cfg)
	if err != nil {
		th.t.Fatal(err)
	}
	if wrap != nil {
		h = wrap(h)
	}
	s.play(time.Now())
	th.plays.Store(&h)
	ctx, cancel := context.WithCancel(th.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.goOn(ctx) })
	th.end = func() {
		cancel()
		wg.Wait()
	}
}

// away is a worker that is gone, behind a proxy that is not.
func (th *theatre) away() {
	th.end()
	gone := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the worker is away", http.StatusBadGateway)
	}))
	th.plays.Store(&gone)
	th.end = func() {}
	th.server.CloseClientConnections()
}

func (s *scene) goOn(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.step(s.now.Add(time.Second)) // as much happens in each, however late it is
		case <-ctx.Done():
			return
		}
	}
}

func describe(o *runtime.RemoteObject) string {
	if o == nil {
		return ""
	}
	return o.Description
}
