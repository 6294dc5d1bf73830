package main

import (
	"context"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// usage is the most memory that a process has used.
type usage struct {
	Live    uint64 `json:"live"`    // heap that was in use after a collection
	Objects uint64 `json:"objects"` // heap in use and garbage not collected yet
	RSS     uint64 `json:"rss"`     // 0 where the system does not tell
}

// gaugeTick is short beside the time between two collections.
const gaugeTick = 2 * time.Millisecond

// watch raises u to what is used, until ctx is done.
func (u *usage) watch(ctx context.Context) {
	tick := time.NewTicker(gaugeTick)
	defer tick.Stop()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	for ctx.Err() == nil {
		metrics.Read(samples)
		u.Live = max(u.Live, uint64Of(samples[0]))
		u.Objects = max(u.Objects, uint64Of(samples[1]))
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	u.RSS = peakRSS()
}

func uint64Of(s metrics.Sample) uint64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s.Value.Uint64()
}

// peakRSS reads the high-water mark of the resident set.
func peakRSS() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return kib << 10
		}
	}
	return 0
}
