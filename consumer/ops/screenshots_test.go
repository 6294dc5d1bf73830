package ops_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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
		late   bool
		edit   bool // the dialog is open, and says what is wrong
	}{
		{name: "normal", script: wander, scheme: "light", readme: true},
		{name: "spike", script: spike, scheme: "light", readme: true},
		{name: "slow-downstream", script: slow, scheme: "dark", readme: true},
		{name: "open-breaker", script: shut, scheme: "dark"},
		{name: "just-begun", script: wander, scheme: "dark", late: true},
		{name: "many-tenants", script: many, scheme: "light", late: true},
		{name: "nothing", script: nothing, scheme: "light", late: true},
		{name: "stale", script: wander, scheme: "light", stale: true},
		{name: "paused", script: halted, scheme: "light"},
		{name: "paused-dark", script: halted, scheme: "dark", edit: true},
		{name: "phone-paused", script: halted, scheme: "light", width: 390, edit: true},
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
			b := newBrowser(t, width, 900)
			s := newScene(p.script)
			if p.late {
				s.late()
			}
			th := perform(t, s, ops.Config{Token: token}, nil)
			b.lax = p.stale
			b.prefer(p.scheme)
			b.open(th.url)
			b.do(chromedp.EmulateViewport(width, read[int64](b, `document.documentElement.scrollHeight`))) // all of it is in sight
			b.do(chromedp.Sleep(2500 * time.Millisecond))                                                  // and has moved
			if p.edit {
				e := editor{b, "borealis"}
				e.press("Change")
				e.fill("rate", "often")
				e.fill("weight", "much")
				e.submit()
			}
			if p.stale {
				th.away()
				b.await(`document.body.classList.contains("stale")`)
			}
			picture := run(b, chromedp.FullScreenshot(100))
			if p.readme {
				picture = small(t, picture)
			}
			if err := os.WriteFile(filepath.Join(dir, p.name+".png"), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// small returns a picture in the 256 colours that most of it has, a third as large as in all.
func small(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	often := make(map[color.RGBA]int)
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			often[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int { return often[b] - often[a] })
	var palette color.Palette
	for _, c := range colours[:min(256, len(colours))] {
		palette = append(palette, c)
	}
	nearest := make(map[color.RGBA]uint8, len(colours))
	for _, c := range colours {
		nearest[c] = uint8(palette.Index(c))
	}
	few := image.NewPaletted(full.Bounds(), palette)
	for y := range full.Bounds().Dy() {
		for x := range full.Bounds().Dx() {
			few.SetColorIndex(x, y, nearest[color.RGBAModel.Convert(full.At(x, y)).(color.RGBA)])
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, few); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
