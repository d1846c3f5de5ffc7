package flood

import (
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	upTo := func(n int) (d []time.Duration) {
		for i := range n {
			d = append(d, time.Duration(i+1))
		}
		return d
	}
	for _, tc := range []struct {
		name   string
		sorted []time.Duration
		q      float64
		want   time.Duration
	}{
		{"nothing has no quantile", nil, 0.5, 0},
		{"one value is every quantile, low", upTo(1), 0, 1},
		{"one value is every quantile, high", upTo(1), 1, 1},
		{"the median of an odd number is the middle", upTo(5), 0.5, 3},
		{"the median of an even number is the lower middle", upTo(4), 0.5, 2},
		{"99 of 100 values lie at or below p99", upTo(100), 0.99, 99},
		{"101 values round the rank up", upTo(101), 0.99, 100},
		{"with few values p99 is the maximum", upTo(10), 0.99, 10},
		{"1 is the maximum", upTo(1000), 1, 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Quantile(tc.sorted, tc.q); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestQuantilesOfTakesAnyOrderAndKeepsIt(t *testing.T) {
	in := []time.Duration{5, 1, 4, 2, 3}
	before := slices.Clone(in)
	if got, want := QuantilesOf(in), (Quantiles{P50: 3, P99: 5, Max: 5}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if !slices.Equal(in, before) {
		t.Errorf("input was reordered: %v", in)
	}
}
