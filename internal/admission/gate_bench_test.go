package admission

import (
	"context"
	"testing"
	"time"
)

func benchGate() *Gate {
	return New(Config{
		Floor: 2, Runnable: 1 << 20, WorkingSet: 48 << 20, Budget: 256 << 20,
		MaxWaiting: 1000, MaxWait: time.Second,
	})
}

// BenchmarkEnter is what the gate adds to a request that finds room.
func BenchmarkEnter(b *testing.B) {
	for _, route := range []struct {
		name  string
		value int64
	}{
		{"light", 1 << 10},
		{"heavy", 1 << 20},
	} {
		enter := func(b *testing.B, g *Gate, r *Route) {
			t, err := g.Enter(context.Background(), r)
			if err != nil {
				b.Fatal(err)
			}
			t.Leave(1<<10, 0)
		}
		b.Run(route.name+"/serial", func(b *testing.B) {
			g := benchGate()
			r := g.Route("GET /")
			r.learn(route.value, 0)
			b.ReportAllocs()
			for b.Loop() {
				r.value = route.value
				enter(b, g, r)
			}
		})
		b.Run(route.name+"/parallel", func(b *testing.B) {
			g := benchGate()
			r := g.Route("GET /")
			r.learn(route.value, 0)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					enter(b, g, r)
				}
			})
		})
	}
}
