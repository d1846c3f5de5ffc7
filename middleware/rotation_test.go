package middleware

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/probelane/probelane/internal/admission"
	"github.com/probelane/probelane/probe"
)

// exactly has a rotation do what it does at random after the mean itself.
func exactly(mean time.Duration) time.Duration { return mean }

func TestRotation(t *testing.T) {
	const calm, full, half, quarter, sheds = "calm", "full", "half", "quarter", "sheds"
	pass, warn, fail := probe.Pass, probe.Warn, probe.Fail
	type steps []struct {
		load string
		want probe.State
		n    int // seconds
	}
	tests := []struct {
		name  string
		steps steps
	}{
		{"calm", steps{{calm, pass, 100}}},
		{"a queue below its limit", steps{{quarter, pass, 100}}},
		{"overload that does not last", steps{{full, warn, 30}, {calm, pass, 100}}},
		{"overload that comes and goes", steps{{sheds, warn, 29}, {calm, pass, 1}, {full, warn, 29}, {calm, pass, 1}, {half, warn, 29}}},
		{"overload that lasts, until it is over", steps{{half, warn, 30}, {half, fail, 1}, {calm, fail, 9}, {calm, pass, 100}}},
		{"overload that lasts for ever", steps{{sheds, warn, 30}, {sheds, fail, 10}, {sheds, warn, 30}, {sheds, fail, 10}, {sheds, warn, 30}}},
		{"a queue that swings between its limits", steps{{half, warn, 1}, {quarter, warn, 29}, {quarter, fail, 10}, {quarter, pass, 100}}},
		{"overload that begins anew", steps{{full, warn, 20}, {calm, pass, 1}, {full, warn, 30}, {full, fail, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &rotation{out: 10 * time.Second, waiting: 1000, spread: exactly}
			var s admission.Stats
			now := time.Unix(0, 0)
			for i, step := range tt.steps {
				for second := range step.n {
					s.Waiting = map[string]int{full: 1000, half: 500, quarter: 250}[step.load]
					if step.load == sheds {
						s.Shed++
					}
					got := pass
					if err := r.look(now, s); err != nil {
						got = warn
						if strings.Contains(err.Error(), "out of rotation") {
							got = fail
						}
					}
					if got != step.want {
						t.Fatalf("step %d, second %d (%s): %v, want %v", i, second, step.load, got, step.want)
					}
					now = now.Add(time.Second)
				}
			}
		})
	}
}

// However long it is overloaded, and though that began everywhere in the same
// second, most of a fleet stays in rotation.
func TestAFleetDoesNotLeaveTogether(t *testing.T) {
	const size, seconds = 400, 3600
	fleet := make([]*rotation, size)
	for i := range fleet {
		fleet[i] = &rotation{out: 10 * time.Second, waiting: 1000, spread: spread}
	}
	now := time.Unix(0, 0)
	most, sum := 0, 0
	everOut := make([]bool, size)
	for range seconds {
		out := 0
		for i, r := range fleet {
			_ = r.look(now, admission.Stats{Waiting: 1000})
			if r.left {
				out++
				everOut[i] = true
			}
		}
		most, sum = max(most, out), sum+out
		now = now.Add(time.Second)
	}
	// The mean is a quarter. At worst a third, give or take six times the
	// deviation of a sum of 400, which is 2.4 % of them.
	if mean := float64(sum) / seconds / size; mean < 0.23 || mean > 0.27 {
		t.Errorf("%.3f of the fleet are out on average, want 0.25", mean)
	}
	if part := float64(most) / size; part > 0.48 {
		t.Errorf("%.3f of the fleet are out at once, want a third", part)
	}
	for i, out := range everOut {
		if !out {
			t.Errorf("process %d was never relieved", i)
		}
	}
}

func TestSpreadIsBetweenAHalfAndOneAndAHalf(t *testing.T) {
	var sum time.Duration
	for range 10_000 {
		d := spread(time.Second)
		if d < time.Second/2 || d >= 3*time.Second/2 {
			t.Fatalf("%v", d)
		}
		sum += d
	}
	if mean := sum / 10_000; mean < 970*time.Millisecond || mean > 1030*time.Millisecond {
		t.Errorf("the mean is %v", mean)
	}
}

func TestReadinessKnowsNothingOfLoadUnlessAsked(t *testing.T) {
	s := serve(t, gin.New())
	if checks := s.guard.Stats().Probes.Checks; len(checks) != 0 {
		t.Errorf("%+v", checks)
	}
}

func TestWithOverloadReadinessRejectsWithAdvice(t *testing.T) {
	for _, tt := range []struct {
		opts []Option
		want string
	}{
		{[]Option{WithOverloadReadiness(time.Millisecond)}, "WithOverloadReadiness(1ms): must be at least 1s, or 0 for 10s"},
		{[]Option{WithOverloadReadiness(-1)}, "must be at least 1s"},
		{[]Option{WithOverloadReadiness(0), WithProbes(probe.WithReadiness("overload", nil))}, "overload"},
	} {
		if g, err := New(tt.opts...); g != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %v, want an error with %q", g, err, tt.want)
		}
	}
}

func TestAnOverloadedProcessLeavesRotationAndComesBack(t *testing.T) {
	const size = 32 << 20 // more than the sockets between them take
	var told sync.Map
	r := gin.New()
	r.GET("/big", func(c *gin.Context) { c.JSON(200, strings.Repeat("x", size)) })
	s := serve(t, r, WithMemoryBudget(size), WithMinReadRate(0), WithQueue(1, time.Millisecond),
		WithOverloadReadiness(0), func(c *config) {
			c.rotation = rotationConfig{on: true, out: 50 * time.Millisecond, interval: 5 * time.Millisecond}
		},
		WithProbes(probe.WithChangeHook(func(c probe.Change) { told.Store(c.To, c.Err) })))
	s.wantStatus("/big", http.StatusOK) // so that its weight is known
	until(t, func() bool { resp, _ := s.get("/readyz"); return resp.StatusCode == 200 })

	for range floor { // who take all the room there is, and do not read
		s.ask("/big")
	}
	until(t, func() bool { return s.guard.Stats().InFlight == floor })
	for _, want := range []int{503, 200, 503} { // in turns, for as long as it lasts
		until(t, func() bool {
			s.wantStatus("/big", http.StatusServiceUnavailable)
			s.wantStatus("/livez", 200)
			resp, _ := s.get("/readyz")
			return resp.StatusCode == want
		})
	}
	for _, state := range []probe.State{probe.Pass, probe.Warn, probe.Fail} {
		if _, ok := told.Load(state); !ok {
			t.Errorf("no change to %v was told", state)
		}
	}
	until(t, func() bool { resp, _ := s.get("/readyz"); return resp.StatusCode == 200 }) // nobody asks any more
}
