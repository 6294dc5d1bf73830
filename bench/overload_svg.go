package main

import (
	"fmt"
	"html"
	"strings"

	sim "github.com/spillwaymq/spillway/internal/overloadsim"
)

// Sizes of the drawing.
const (
	svgName, svgCell, svgRow, svgHead = 100, 118, 30, 64
)

// drawOverload draws the table: a bar is goodput beside the best fixed limit, red where it
// is below 9 tenths; the figure is p99 beside the same.
func drawOverload(cases []sim.Case, all []admission, oracles []served, table [][]served) []byte {
	var b strings.Builder
	w, h := svgName+svgCell*len(all)+10, svgHead+svgRow*len(cases)+30
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`, w, h)
	p(`<rect width="%d" height="%d" fill="white"/>`, w, h)
	p(`<text x="8" y="18">Goodput (bar, line: the best fixed limit) and p99 (times its) of each limiter</text>`)
	for i, a := range all {
		p(`<text x="%d" y="%d" font-size="11">%s</text>`, svgName+i*svgCell, svgHead-26, html.EscapeString(short(a.name)))
	}
	for i, c := range cases {
		y := svgHead + i*svgRow
		p(`<text x="8" y="%d">%s</text>`, y+4, html.EscapeString(c.Name))
		for j, o := range table[i] {
			drawCell(p, svgName+j*svgCell, y, o, oracles[i])
		}
	}
	p(`</svg>`)
	return []byte(b.String())
}

// short fits a name above its column.
func short(name string) string {
	const peer = "go-concurrency-limits "
	if len(name) > len(peer) && name[:len(peer)] == peer {
		return "Netflix " + name[len(peer):]
	}
	return name
}

func drawCell(p func(string, ...any), x, y int, o, best served) {
	const whole = 60
	share := 0.0
	if best.Goodput > 0 {
		share = min(o.Goodput/best.Goodput, 1.2)
	}
	colour := "#2f9e5f"
	switch {
	case share < 0.9:
		colour = "#d0453a"
	case share < overloadGoodput:
		colour = "#e0a030"
	}
	p(`<rect x="%d" y="%d" width="%.0f" height="14" fill="%s"/>`, x, y-8, share*whole, colour)
	p(`<path d="M%d %dv18" stroke="black"/>`, x+whole, y-10)
	if best.P99 > 0 && o.P99 > 0 {
		p(`<text x="%d" y="%d" font-size="11">%.2f×</text>`, x+whole+16, y+4, o.P99/best.P99)
	}
}
