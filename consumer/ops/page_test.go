package ops_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/spillwaymq/spillway/consumer/ops"
)

const (
	text     = `document.querySelector(%q).textContent`
	rowNames = `[...document.querySelectorAll("#rows th")].map((e) => e.textContent)`
)

func TestThePageShowsTheWorkerAndGoesOn(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(spike), ops.Config{}, nil)
	b.open(th.url)
	for selector, want := range map[string]string{
		"#stream": "JOBS", "#durable": "worker", "#live": "Live", "#shown": "12 tenants",
		"#verdict":                          "acme sends more than there is room for; it spills aside.",
		"#rows tr:first-child th":           "acme",
		"#rows tr:first-child .now":         "shedding noisywaits for the limit of billing",
		"#lanes tr:first-child th":          "main",
		"#downstreams article:first-child":  "at its limit",
		"#charts figure:first-child strong": "Messages a second",
	} {
		if got := read[string](b, fmt.Sprintf(text, selector)); !strings.HasPrefix(got, want) && selector[:3] != "#do" || !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if n := read[int](b, `document.querySelectorAll(".uplot canvas").length`); n != 3+3 {
		t.Errorf("%d charts are drawn, want one for each of three downstreams and three more", n)
	}
	if n := read[int](b, `import("./assets/js/main.js").then((m) => m.history.at.length)`, awaited); n < 899 {
		t.Errorf("a page that was just opened has %d points of the history", n)
	}
	before := read[string](b, `document.querySelector('[data-field="overflow"]').textContent`)
	b.await(fmt.Sprintf(`document.querySelector('[data-field="overflow"]').textContent !== %q`, before))
}

func TestNamesWithMarkupAreText(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	s := newScene(nil)
	hostile := []string{`<img src=x onerror="document.title='broken'">`, `"><script>document.title='broken'</script>`, "\u202egnp.exe", strings.Repeat("w", 200)}
	for _, name := range hostile {
		s.tenant(name, 5, 0)
	}
	s.downs[0].Downstream = `<b>billing</b>`
	th := perform(t, s, ops.Config{Token: token}, nil)
	b.open(th.url)
	names := read[[]string](b, rowNames)
	for _, name := range hostile {
		if !slices.Contains(names, name) {
			t.Errorf("no row is called %q: %q", name, names)
		}
	}
	if n := read[int](b, `document.querySelectorAll("main img, main script, main b b, #downstreams h3 b").length`); n != 0 {
		t.Errorf("names became %d elements", n)
	}
	if wide := read[bool](b, `document.documentElement.scrollWidth > document.documentElement.clientWidth`); wide {
		t.Error("a long name makes the page wider than the window")
	}
}

func TestTenThousandTenantsAreSearchedByTheWorker(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(many).late(), ops.Config{}, nil)
	b.open(th.url)
	if n := read[int](b, `document.querySelectorAll("#rows tr").length`); n != 50 {
		t.Errorf("%d rows are shown, want 50", n)
	}
	if got := read[string](b, fmt.Sprintf(text, "#shown")); got != "50 of 10,000 tenants" {
		t.Errorf("it says %q", got)
	}
	b.do(chromedp.SendKeys("#tenant-search input", "-0071"))
	b.await(`document.querySelectorAll("#rows tr").length === 1`)
	if got := read[[]string](b, rowNames); got[0] != "tenant-0071" {
		t.Errorf("found %q", got)
	}
	if got := read[string](b, fmt.Sprintf(text, "#shown")); got != "1 tenant found of 10,000" {
		t.Errorf("it says %q", got)
	}
}

func TestNothingCanBeChangedWithoutAToken(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(nil), ops.Config{}, nil)
	b.open(th.url)
	if n := read[int](b, `[...document.querySelectorAll("#rows button")].filter((e) => e.checkVisibility()).length`); n != 0 {
		t.Errorf("%d buttons are shown", n)
	}
	b.do(chromedp.WaitVisible("#no-control"))
}

func TestAPageComesBackAfterARestart(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(nil), ops.Config{}, nil)
	b.lax = true // connections are refused meanwhile
	b.open(th.url)
	process := read[string](b, `import("./assets/js/main.js").then((m) => m.history.process)`, awaited)

	th.away()
	b.await(`document.getElementById("live").dataset.state === "broken"`)
	if got := read[string](b, fmt.Sprintf(text, "#announce")); !strings.HasPrefix(got, "No news from the worker since ") {
		t.Errorf("meanwhile it says %q", got)
	}
	fresh := newScene(nil)
	fresh.second = sceneLength // it has no history of its own
	th.play(fresh, ops.Config{}, nil)
	b.await(`document.getElementById("live").dataset.state === "flowing"`)

	var points struct {
		Process string
		At      []float64
		Series  map[string][]*float64
	}
	raw := read[string](b, `import("./assets/js/main.js").then((m) => JSON.stringify(m.history))`, awaited)
	if err := json.Unmarshal([]byte(raw), &points); err != nil {
		t.Fatal(err)
	}
	if points.Process == process || len(points.At) < 900 {
		t.Errorf("process %s follows %s, with %d points", points.Process, process, len(points.At))
	}
	for i := 1; i < len(points.At); i++ {
		if points.At[i] <= points.At[i-1] {
			t.Fatalf("point %d is at %v, after one at %v", i, points.At[i], points.At[i-1])
		}
	}
	for name, values := range points.Series {
		if len(values) != len(points.At) {
			t.Errorf("%s has %d values for %d points", name, len(values), len(points.At))
		}
	}
}

func TestThePageIsUsedByKeyboard(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(nil), ops.Config{Token: token}, nil)
	b.open(th.url)
	const focused = `(() => { const e = document.activeElement; const seen = e.matches(":focus-visible") && getComputedStyle(e).outlineStyle !== "none";
		return (e.getAttribute("aria-label") ?? e.name ?? "").concat(e.name ? "" : "", "|", e.textContent.trim().slice(0, 20), seen ? "" : " (not seen)"); })()`
	first := read[string](b, `document.querySelector("#rows th").textContent`)
	for _, want := range []string{"|Skip to the tenants", "q|", "sort|most harm first", "top|", "Pause " + first, "Change " + first} {
		b.do(chromedp.KeyEvent(kb.Tab))
		if got := read[string](b, focused); !strings.HasPrefix(got, want) || strings.Contains(got, "not seen") {
			t.Errorf("the focus is on %q, want %q", got, want)
		}
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(`document.getElementById("edit").open`)
	if !read[bool](b, `document.activeElement.closest("#edit") !== null`) {
		t.Error("the dialog has not got the focus")
	}
	b.do(chromedp.KeyEvent(kb.Escape))
	b.await(`!document.getElementById("edit").open`)
	if got := read[string](b, focused); !strings.HasPrefix(got, "Change "+first) {
		t.Errorf("after the dialog the focus is on %q", got)
	}
}

func TestThePageHasNamesForWhoListens(t *testing.T) {
	b := newBrowser(t, 390, 844)
	th := perform(t, newScene(shut), ops.Config{Token: token}, nil)
	b.open(th.url)
	for what, script := range map[string]string{
		"landmarks":                       `["header", "main", "footer", "nav[aria-label]", "[role=search]"].filter((s) => !document.querySelector(s))`,
		"sections without a name":         `[...document.querySelectorAll("section")].filter((e) => !document.getElementById(e.getAttribute("aria-labelledby"))).map((e) => e.className)`,
		"controls without a name":         `[...document.querySelectorAll("input, select, button")].filter((e) => !e.labels?.length && !e.textContent.trim() && !e.ariaLabel).map((e) => e.name)`,
		"rows that are none on a phone":   `[...document.querySelectorAll(".tenants tbody tr")].filter((e) => e.role !== "row" || e.querySelector("th").role !== "rowheader").map((e) => e.textContent)`,
		"pictures without words":          `[...document.querySelectorAll("[role=img]")].filter((e) => !e.ariaLabel).map((e) => e.className)`,
		"canvases that are read out":      `[...document.querySelectorAll("canvas")].filter((e) => !e.closest("[aria-hidden=true]")).map((e) => e.className)`,
		"states told by a colour alone":   `[...document.querySelectorAll(".chip")].filter((e) => !e.textContent.trim()).map((e) => e.className)`,
		"what is wider than a phone":      `document.documentElement.scrollWidth > 390 ? [String(document.documentElement.scrollWidth)] : []`,
		"a summary that is not announced": `/failing/.test(document.querySelector("[aria-live=polite]").textContent) ? [] : ["none"]`,
	} {
		if wrong := read[[]string](b, script); len(wrong) > 0 {
			t.Errorf("%s: %q", what, wrong)
		}
	}
}

// contrasts computes the contrast of the text of all elements that have some, and returns those
// below what WCAG AA asks for.
const contrasts = `(() => {
	const parse = (c) => { const v = c.match(/[\d.]+/g).map(Number); return { rgb: v.slice(0, 3), a: v[3] ?? 1 }; };
	const light = (rgb) => { const [r, g, b] = rgb.map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
	const low = new Set();
	for (const e of document.querySelectorAll("body *")) {
		if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.closest("svg, .hidden, .skip")) continue;
		const a = light(parse(getComputedStyle(e).color).rgb), b = light(ground(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) low.add(e.tagName + "." + e.className + " " + ratio.toFixed(2));
	}
	return [...low];
})()`

func TestAllTextHasContrastInBothThemes(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	for _, scheme := range []string{"light", "dark"} {
		b.prefer(scheme)
		for name, script := range map[string]func(*scene, int){"shut": shut, "spike": spike} {
			th := perform(t, newScene(script), ops.Config{Token: token}, nil)
			b.open(th.url)
			if low := read[[]string](b, contrasts); len(low) > 0 {
				t.Errorf("%s, %s: %q", name, scheme, low)
			}
		}
	}
}

func TestThePageWorksUnderAPrefix(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	th := perform(t, newScene(nil), ops.Config{}, func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/worker/ops/", http.StripPrefix("/worker/ops", h))
		return mux
	})
	b.open(th.url + "worker/ops/")
	if names := read[[]string](b, rowNames); len(names) != 12 {
		t.Errorf("the tenants are %q", names)
	}
}

func TestTheOrderIsHeldWhileSomebodyIsInTheTable(t *testing.T) {
	b := newBrowser(t, 1280, 900)
	s := newScene(nil)
	th := perform(t, s, ops.Config{Token: token}, nil)
	b.open(th.url)
	b.do(chromedp.Focus(`#rows tr:nth-child(3) button`))
	before := read[[]string](b, rowNames)
	s.mu.Lock()
	for _, a := range s.actors {
		if a.Tenant == before[11] {
			a.Noisy = true
		}
	}
	s.mu.Unlock()
	b.await(`document.querySelector("#rows .badge") !== null`)
	if now := read[[]string](b, rowNames); !slices.Equal(now, before) {
		t.Errorf("the rows moved under the focus: %q, then %q", before, now)
	}
	b.do(chromedp.Blur(`#rows tr:nth-child(3) button`))
	b.await(fmt.Sprintf(`document.querySelector("#rows th").textContent === %q`, before[11]))
}
