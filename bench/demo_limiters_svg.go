package main

import (
	"fmt"
	"html"
	"strings"
	"time"
)

// Sizes of the drawing: a strip for each limiter.
const (
	stripLeft, stripWidth, stripHeight, stripGap = 100, 700, 70, 16
	stripTop                                     = 60
	stripGood                                    = 320 // good answers a second at the top of a strip
	stripLimit                                   = 40  // limit there
)

// drawDemo draws good answers a second and the limit over time, the trouble shaded.
func drawDemo(runs []*demoRun) []byte {
	var b strings.Builder
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	total := time.Duration(0)
	for _, ph := range demoPhases() {
		total += ph.long
	}
	x := func(s float64) float64 { return stripLeft + stripWidth*s/total.Seconds() }
	h := stripTop + len(runs)*(stripHeight+stripGap) + 20
	p(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="system-ui, sans-serif" font-size="12" role="img">`, stripLeft+stripWidth+20, h)
	p(`<title>Limiters in the scenes of worker demo</title><rect width="100%%" height="100%%" fill="white"/>`)
	p(`<text x="8" y="18">Good answers a second (area, 0 to %d) and the limit (line, 0 to %d) over %d s</text>`, stripGood, stripLimit, int(total.Seconds()))
	at := 0.0
	for _, ph := range demoPhases() {
		if ph.name != "" && ph.name != "normal" {
			p(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="#f4d9d0"/><text x="%.1f" y="%d">%s</text>`,
				x(at), stripTop-8, x(at+ph.long.Seconds())-x(at), h-stripTop, x(at), stripTop-14, html.EscapeString(ph.name))
		}
		at += ph.long.Seconds()
	}
	for i, r := range runs {
		floor := float64(stripTop + i*(stripHeight+stripGap) + stripHeight)
		p(`<text x="8" y="%.0f">%s</text>`, floor-stripHeight/2, html.EscapeString(r.name))
		area, line := fmt.Sprintf("M%.1f %.1f", x(0), floor), ""
		for s, sec := range r.seconds[:int(total.Seconds())] {
			y := floor - stripHeight*min(1, float64(sec.good)/stripGood)
			area += fmt.Sprintf("L%.1f %.1fH%.1f", x(float64(s)), y, x(float64(s+1)))
			command := "L"
			if line == "" {
				command = "M"
			}
			line += fmt.Sprintf("%s%.1f %.1f", command, x(float64(s)+0.5), floor-stripHeight*min(1, float64(sec.limit)/stripLimit))
		}
		p(`<path d="%sV%.1fZ" fill="#7db7e8"/><path d="%s" fill="none" stroke="#b3470f" stroke-width="2"/><path d="M%d %.1fh%d" stroke="black"/>`,
			area, floor, line, stripLeft, floor, stripWidth)
	}
	p(`</svg>`)
	return []byte(b.String())
}
