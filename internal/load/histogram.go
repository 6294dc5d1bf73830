package load

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are recorded from a microsecond to what a run may wait for at most.
const (
	leastLatency = int64(time.Microsecond)
	mostLatency  = int64(4 * maxTimeout)
	fine, coarse = 3, 2 // significant digits
)

func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

// record takes what is out of bounds as the bound.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(int64(d), 0), mostLatency)) // within bounds, so there is no error
}

func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtPercentile(100 * q))
}

// A Histogram holds durations with three significant digits. It does not change.
type Histogram struct{ hdr *hdrhistogram.Histogram }

// Count is how many durations it holds.
func (h Histogram) Count() int64 { return h.hdr.TotalCount() }

// Quantile returns the duration that a share q of all do not pass, as 0.99; 0 if there are
// none.
func (h Histogram) Quantile(q float64) time.Duration { return quantile(h.hdr, q) }

// Mean returns the arithmetic mean; 0 if there are none.
func (h Histogram) Mean() time.Duration { return time.Duration(h.hdr.Mean()) }

// Max returns the longest.
func (h Histogram) Max() time.Duration { return time.Duration(h.hdr.Max()) }

// Above counts the durations longer than d.
func (h Histogram) Above(d time.Duration) int64 {
	n := int64(0)
	for _, bar := range h.hdr.Distribution() {
		if bar.From > int64(d) {
			n += bar.Count
		}
	}
	return n
}

// WriteHDR writes the percentiles in milliseconds, in the text form that the plotters of
// HdrHistogram read.
func (h Histogram) WriteHDR(w io.Writer) error {
	const ticks = 5 // per half of the distance to 100 %
	_, err := h.hdr.PercentilesPrint(w, ticks, float64(time.Millisecond))
	if err != nil {
		return fmt.Errorf("load: write the histogram: %w", err)
	}
	return nil
}

// The quantiles that are shown.
var shown = []struct {
	name string
	q    float64
}{{"p50", 0.5}, {"p75", 0.75}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}}

// MarshalJSON writes count, mean, max and quantiles, in seconds.
func (h Histogram) MarshalJSON() ([]byte, error) {
	quantiles := make(map[string]float64, len(shown))
	for _, s := range shown {
		quantiles[s.name] = h.Quantile(s.q).Seconds()
	}
	return json.Marshal(struct {
		Count     int64              `json:"count"`
		Mean      float64            `json:"mean"`
		Max       float64            `json:"max"`
		Quantiles map[string]float64 `json:"quantiles"`
	}{h.Count(), h.Mean().Seconds(), h.Max().Seconds(), quantiles})
}
