package measure

import (
	"cmp"
	"math"
	"slices"
)

// Quantile returns the smallest value that at least the share q of all do not exceed, the
// zero value of none.
func Quantile[T cmp.Ordered](values []T, q float64) T {
	var none T
	if len(values) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// Median returns the smallest value that at least half of all do not exceed.
func Median[T cmp.Ordered](values []T) T { return Quantile(values, 0.5) }

// Ratios divides round by round. A round in which plain has 0 has none.
func Ratios(ours, plain []float64) []float64 {
	all := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(plain)) {
		if plain[i] > 0 {
			all = append(all, ours[i]/plain[i])
		}
	}
	return all
}
