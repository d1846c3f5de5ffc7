package benchmarks

import (
	"math"
	"runtime"
	"testing"
)

func TestEveryStopOfTheWorldIsCounted(t *testing.T) {
	before := readStops()
	var ms runtime.MemStats
	for range 10 {
		runtime.ReadMemStats(&ms)
	}
	runtime.GC()
	if got := readStops().since(before).total(); got < 12 {
		t.Errorf("10 readings and a collection stopped the world %d times, want at least 12", got)
	}
}

func TestHistogramQuantile(t *testing.T) {
	bounds := []float64{0, 1, 2, 3, math.Inf(1)}
	for _, c := range []struct {
		name   string
		counts []uint64
		q      float64
		want   float64
	}{
		{"nothing was counted", []uint64{0, 0, 0, 0}, 0.99, 0},
		{"the worst of a single bucket", []uint64{0, 5, 0, 0}, 1, 2},
		{"the worst is alone in its bucket", []uint64{999, 0, 1, 0}, 1, 3},
		{"a rare one is beyond the 99th percentile", []uint64{999, 0, 1, 0}, 0.99, 1},
		{"two in a hundred are not", []uint64{98, 0, 2, 0}, 0.99, 3},
		{"beyond the last bound, its lower end is all that is known", []uint64{0, 0, 0, 1}, 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (histogram{c.counts, bounds}).quantile(c.q); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestVariantsNamedForStopTheWorldExist(t *testing.T) {
	for _, name := range stopVariants {
		found := false
		for _, v := range variants {
			found = found || v.name == name
		}
		if !found {
			t.Errorf("no variant %q", name)
		}
	}
}
