package scenario

import (
	"cmp"
	"math"
	"slices"
)

// quantile returns the smallest value that at least the share q of all do not exceed, the
// zero value of none.
func quantile[T cmp.Ordered](values []T, q float64) T {
	var none T
	if len(values) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

func median[T cmp.Ordered](values []T) T { return quantile(values, 0.5) }

// ratios divides round by round.
func ratios(ours, plain []float64) []float64 {
	all := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(plain)) {
		if plain[i] > 0 {
			all = append(all, ours[i]/plain[i])
		}
	}
	return all
}
