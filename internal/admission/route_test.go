package admission

import "testing"

const (
	kib = 1 << 10
	mib = 1 << 20
)

func TestARouteLearnsUpFastAndDownSlowly(t *testing.T) {
	type sample struct{ value, pooled int64 }
	for _, test := range []struct {
		name    string
		samples []sample
		want    int64
	}{
		{"nothing is known: a little is assumed", nil, unknownWeight},
		{"the first sample counts in full", []sample{{8 * mib, mib}}, 9 * mib},
		{"a first sample of nothing too", []sample{{0, 0}}, 0},
		{"up by half the way", []sample{{0, 0}, {16 * mib, 0}}, 8 * mib},
		{"up by half the way of each", []sample{{2 * mib, 2 * mib}, {4 * mib, 8 * mib}}, 8 * mib},
		{"down by an eighth", []sample{{16 * mib, 0}, {0, 0}}, 14 * mib},
		{"one goes up while the other goes down", []sample{{8 * mib, 0}, {0, 8 * mib}}, 11 * mib},
		{"the same again changes nothing", []sample{{5 * mib, mib}, {5 * mib, mib}}, 6 * mib},
		{"a million rows now and then outweigh many single ones",
			[]sample{{16 * mib, 0}, {0, 0}, {0, 0}, {0, 0}, {16 * mib, 0}}, 13*mib + 368*kib},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := new(Route)
			for _, s := range test.samples {
				r.learn(s.value, s.pooled)
			}
			if got := r.weight(); got != test.want {
				t.Errorf("weight %d, want %d", got, test.want)
			}
			if got, want := r.light.Load(), r.answered && r.weight() <= lightWeight; got != want {
				t.Errorf("light %t, want %t", got, want)
			}
		})
	}
}

func TestALearnedWeightReachesWhatItApproaches(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to int64
		within   int
	}{
		{"up", 0, 16 * mib, 25},
		{"down to nothing", 16 * mib, 0, 125},
		{"down to something", 16 * mib, mib, 125},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.from
			for i := 0; got != test.to; i++ {
				if i == test.within {
					t.Fatalf("%d after %d samples of %d", got, i, test.to)
				}
				got = approach(got, test.to)
			}
		})
	}
}
