package load

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Curve is one line of a plot.
type Curve struct {
	Name    string
	Latency Histogram
}

// The plot, in pixels.
const (
	plotWidth, plotHeight   = 820, 420
	plotLeft, plotRight     = 72, 130
	plotTop, plotBottom     = 48, 56
	plotInner               = plotWidth - plotLeft - plotRight
	plotInnerHeight         = plotHeight - plotTop - plotBottom
	labelDistance           = 16 // of the names at the ends of curves
	leastDecades, mostLines = 2, 4
)

// Colours that are told apart on white and on black, also by those who see no red, and
// with a dash that tells them apart without any colour.
var plotLines = [mostLines]struct{ colour, dash string }{
	{"#2f81f7", "none"}, {"#d9822b", "7 4"}, {"#2da44e", "2 3"}, {"#a371f7", "9 3 2 3"},
}

// WriteSVG draws latency by percentile, the share of requests that took longer falling by
// ten from mark to mark. It needs no script and no font, and is readable on light and on
// dark. At most four curves are drawn.
func WriteSVG(w io.Writer, title string, curves ...Curve) error {
	p := newPlot(curves[:min(len(curves), mostLines)])
	fmt.Fprintf(&p.out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="12">`+"\n",
		plotWidth, plotHeight)
	fmt.Fprintf(&p.out, "<title>%s</title>\n", html.EscapeString(title))
	p.out.WriteString("<style>text{fill:#6e7781}.grid{stroke:#808080;stroke-opacity:.25}.axis{stroke:#808080}" +
		".line{fill:none;stroke-width:2;stroke-linejoin:round}@media(prefers-color-scheme:dark){text{fill:#9198a1}}</style>\n")
	fmt.Fprintf(&p.out, `<text x="%d" y="24" font-size="15">%s</text>`+"\n", plotLeft, html.EscapeString(title))
	p.axes()
	p.draw()
	p.out.WriteString("</svg>\n")
	_, err := io.WriteString(w, p.out.String())
	return err
}

// A plot has the decades of 1/(1-q) on its x axis, and those of the latency on its y axis.
type plot struct {
	out         strings.Builder
	curves      []Curve
	decades     float64   // x: 2 is up to 99 %
	marks       []float64 // y: log10 of nanoseconds, from the lowest up
	least, most float64   // the first and the last of them
}

func newPlot(curves []Curve) *plot {
	p := &plot{curves: curves, decades: leastDecades}
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range curves {
		if n := c.Latency.Count(); n > 0 {
			p.decades = max(p.decades, math.Log10(float64(n)))
			low = min(low, logOf(c.Latency.Quantile(0)))
			high = max(high, logOf(c.Latency.Max()))
		}
	}
	if low > high { // nothing to draw
		low, high = logOf(time.Millisecond), logOf(time.Second)
	}
	p.marks = marksAround(low, high)
	p.least, p.most = p.marks[0], p.marks[len(p.marks)-1]
	return p
}

func logOf(d time.Duration) float64 { return math.Log10(float64(max(d, time.Microsecond))) }

// marksAround returns the marks at 1, 2 and 5 of each decade, from the last at or below low
// to the first at or above high, two at least. Of many decades it returns those at 1 only.
func marksAround(low, high float64) []float64 {
	const many, near = 4, 1e-9
	steps := []float64{0, math.Log10(2), math.Log10(5)}
	if high-low > many {
		steps = steps[:1]
	}
	var marks []float64
	for decade := math.Floor(low); ; decade++ {
		for _, step := range steps {
			mark := decade + step
			if mark <= low+near {
				marks = marks[:0]
			}
			marks = append(marks, mark)
			if mark >= high-near && len(marks) > 1 {
				return marks
			}
		}
	}
}

func (p *plot) x(q float64) float64 {
	const closest = 1e-12
	return plotLeft + plotInner*min(-math.Log10(max(1-q, closest))/p.decades, 1)
}

func (p *plot) y(log float64) float64 {
	return plotTop + plotInnerHeight*(1-(log-p.least)/(p.most-p.least))
}

func (p *plot) axes() {
	const right, floor = plotLeft + plotInner, plotTop + plotInnerHeight
	for _, mark := range p.marks {
		y := p.y(mark)
		fmt.Fprintf(&p.out, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, y, right, plotLeft-8, y+4, brief(time.Duration(math.Round(math.Pow(10, mark)))))
	}
	percentiles := []float64{0, 50}
	for d := 1.0; d <= p.decades; d++ {
		percentiles = append(percentiles, 100-100*math.Pow(10, -d))
	}
	for _, percentile := range percentiles {
		x := p.x(percentile / 100)
		fmt.Fprintf(&p.out, `<path class="grid" d="M%.1f %dV%d"/><text x="%[1]f" y="%[4]d" text-anchor="middle">%[5]s</text>`+"\n",
			x, plotTop, floor, floor+18, strconv.FormatFloat(percentile, 'g', 9, 64))
	}
	fmt.Fprintf(&p.out, `<path class="axis" fill="none" d="M%d %dV%dH%d"/>`+"\n", plotLeft, plotTop, floor, right)
	fmt.Fprintf(&p.out, `<text x="%d" y="%d" text-anchor="middle">percentile of the requests</text>`+"\n", (plotLeft+right)/2, plotHeight-14)
	fmt.Fprintf(&p.out, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">latency</text>`+"\n", (plotTop+floor)/2)
}

// draw draws the curves, each named at its end.
func (p *plot) draw() {
	taken, right := []float64{}, 0.0 // the heights of names, and where they begin
	for _, c := range p.curves {
		right = max(right, p.x(slowest(c)))
	}
	for i, c := range p.curves {
		if c.Latency.Count() == 0 {
			continue
		}
		line, last := plotLines[i], slowest(c)
		var path strings.Builder
		for x := 0.0; x < p.x(last)-plotLeft; x += 2 {
			q := 1 - math.Pow(10, -p.decades*x/plotInner)
			fmt.Fprintf(&path, "%.1f %.1fL", plotLeft+x, p.y(logOf(c.Latency.Quantile(q))))
		}
		end := p.y(logOf(c.Latency.Max()))
		fmt.Fprintf(&p.out, `<path class="line" stroke="%s" stroke-dasharray="%s" d="M%s%.1f %.1f"/>`+"\n",
			line.colour, line.dash, path.String(), p.x(last), end)
		at := free(end, taken)
		taken = append(taken, at)
		fmt.Fprintf(&p.out, `<text x="%.1f" y="%.1f" style="fill:%s">%s</text>`+"\n", right+6, at+4, line.colour, html.EscapeString(c.Name))
	}
}

// slowest is the quantile of the slowest request.
func slowest(c Curve) float64 { return 1 - 1/float64(max(c.Latency.Count(), 2)) }

// free returns a height at or near y that is far enough from those taken.
func free(y float64, taken []float64) float64 {
	for slices.ContainsFunc(taken, func(t float64) bool { return math.Abs(t-y) < labelDistance }) {
		y += labelDistance / 2
	}
	return y
}
