package flood

import (
	"math"
	"slices"
	"time"
)

// Quantiles are the figures by which latencies are told.
type Quantiles struct {
	P50, P99, Max time.Duration
}

// QuantilesOf returns the quantiles of latencies, in any order; zeroes if
// there are none. It leaves the slice as it is.
func QuantilesOf(latencies []time.Duration) Quantiles {
	sorted := slices.Sorted(slices.Values(latencies))
	return Quantiles{
		P50: Quantile(sorted, 0.50),
		P99: Quantile(sorted, 0.99),
		Max: Quantile(sorted, 1),
	}
}

// Quantile returns the q-quantile of sorted by the nearest rank: the smallest
// value that at least a share q of all values does not exceed. So it is always
// a latency that was measured, and never better than what q promises.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	// The product is rounded a little so that 0.99 × 100 is rank 99, not 100.
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
