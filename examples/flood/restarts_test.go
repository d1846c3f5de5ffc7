package flood

import (
	"testing"
	"time"
)

func TestRestarts(t *testing.T) {
	const every = 20 * time.Millisecond
	// probes makes n probes of which those for which failed holds failed.
	probes := func(n int, failed func(i int) bool) []Probe {
		ps := make([]Probe, n)
		for i := range ps {
			if failed(i) {
				ps[i].Failure = "timeout"
			}
		}
		return ps
	}
	all := func(int) bool { return true }
	none := func(int) bool { return false }
	for _, tc := range []struct {
		name   string
		probes []Probe
		every  time.Duration
		want   float64
	}{
		{"no probes, no restarts", nil, every, 0},
		{"a healthy server is never restarted", probes(500, none), every, 0},
		{"ten seconds of failure are ten periods, so three restarts", probes(500, all), every, 3},
		{"nine seconds are three times three", probes(450, all), every, 3},
		{"two seconds are too short to fail three times", probes(100, all), every, 0},
		{"every second probe failing fails those that fall on it", probes(500, func(i int) bool { return i%2 == 0 }), every, 1.5},
		{"single failures far apart never add up", probes(500, func(i int) bool { return i%100 == 0 }), every, 0},
		{"half of the run failing", probes(600, func(i int) bool { return i < 300 }), every, 2},
		{"an interval above the scaled period takes every probe", probes(6, all), 2 * time.Second, 2},
		{"no interval, no answer", probes(6, all), 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Restarts(tc.probes, tc.every); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
