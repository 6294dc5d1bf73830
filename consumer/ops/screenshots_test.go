package ops_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/spillwaymq/spillway/consumer/ops"
)

// The pictures of the README are made by
//
//	go test ./consumer/ops -run Pictures -pictures docs/images
var pictures = flag.String("pictures", "", "directory that pictures of the page go to; those not in the README too, with -all-pictures")

var allPictures = flag.Bool("all-pictures", false, "take pictures of all states of the page")

func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("-pictures names no directory")
	}
	dir := filepath.Join("..", "..", *pictures)
	if filepath.IsAbs(*pictures) {
		dir = *pictures
	}
	for _, p := range []struct {
		name   string
		script func(*scene, int)
		width  int64
		scheme string
		readme bool
		stale  bool
		clip   int64 // height; 0: the whole page
	}{
		{name: "normal", script: wander, scheme: "light", readme: true},
		{name: "spike", script: spike, scheme: "light", readme: true},
		{name: "slow-downstream", script: slow, scheme: "dark", readme: true},
		{name: "open-breaker", script: shut, scheme: "dark"},
		{name: "normal-dark", script: wander, scheme: "dark"},
		{name: "many-tenants", script: many, scheme: "light"},
		{name: "nothing", script: nothing, scheme: "light"},
		{name: "stale", script: wander, scheme: "light", stale: true},
		{name: "phone", script: spike, scheme: "light", width: 390},
		{name: "phone-dark", script: slow, scheme: "dark", width: 390},
	} {
		if !p.readme && !*allPictures {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			width := p.width
			if width == 0 {
				width = 1280
			}
			s := newScene(p.script)
			url := perform(t, s, ops.Config{Token: token})
			b := newBrowser(t, width, 900)
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: p.scheme}}})
			b.open(url)
			b.await(`Number(document.documentElement.dataset.updates) > 1`)
			b.do(chromedp.Sleep(2500 * time.Millisecond)) // for the eye: bars have moved
			if p.stale {
				s.mu.Lock()
				s.stopped = true
				s.mu.Unlock()
				b.await(`document.body.classList.contains("stale")`)
			}
			png := run(b, chromedp.FullScreenshot(100))
			if err := os.WriteFile(filepath.Join(dir, p.name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}
