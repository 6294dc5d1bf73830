package main

import (
	"cmp"
	"math"
	"slices"
)

// median of nothing is 0.
func median[T cmp.Ordered](values []T) T { return quantile(values, 0.5) }

// quantile returns the smallest value that at least the share q of all do not exceed.
func quantile[T cmp.Ordered](values []T, q float64) T {
	var none T
	if len(values) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// ratios divides round by round. A round that has no peer has no ratio.
func ratios(ours, peers []float64) []float64 {
	var all []float64
	for i := range min(len(ours), len(peers)) {
		if peers[i] > 0 {
			all = append(all, ours[i]/peers[i])
		}
	}
	return all
}
