package admission

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func benchGate() *Gate {
	return New(Config{
		Floor: 2, Runnable: 1 << 20, Encodes: 1 << 20, WorkingSet: 48 << 20, Budget: 256 << 20,
		MaxWaiting: 1000, MaxWait: time.Second,
	})
}

// BenchmarkEnter is what the gate adds to a request that finds room. Only what
// heavy ones allocate is measured.
func BenchmarkEnter(b *testing.B) {
	for _, route := range []struct {
		name   string
		weight int64
	}{
		{"light", 1 * kib},
		{"heavy", 1 * mib},
	} {
		g := benchGate()
		r := g.Route("GET /")
		r.learn(route.weight, 0)
		visit := func(b *testing.B) {
			t, err := g.Enter(context.Background(), r, false)
			if err != nil {
				b.Fatal(err)
			}
			t.Abandon()
		}
		b.Run(route.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				visit(b)
			}
		})
		b.Run(route.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					visit(b)
				}
			})
		})
	}
}

// BenchmarkQueue is how long the lock is held, with so many waiting, for one of
// them to leave: the first, as when it is let in, the last, or one in between,
// as when its client has gone. Another one takes its place.
func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{10, 1000} {
		for _, place := range []struct {
			name string
			of   func(n int) int
		}{
			{"first", func(int) int { return 0 }},
			{"middle", func(n int) int { return n / 2 }},
			{"last", func(n int) int { return n - 1 }},
		} {
			b.Run(fmt.Sprintf("%d/%s", waiting, place.name), func(b *testing.B) {
				g := benchGate()
				r := g.Route("GET /")
				for range waiting {
					g.enqueue(&waiter{route: r})
				}
				i := place.of(waiting)
				b.ReportAllocs()
				for b.Loop() {
					w := r.waiters[i]
					if !g.dequeue(w) {
						b.Fatal("was not waiting")
					}
					g.enqueue(w)
				}
			})
		}
	}
}

// BenchmarkNext is one look of the keeper at so many routes none of which has
// room.
func BenchmarkNext(b *testing.B) {
	for _, routes := range []int{1, 100} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			g := benchGate()
			g.inFlight, g.heavies, g.ledger = 2, 2, g.cfg.Budget
			for i := range routes {
				r := g.Route(fmt.Sprint(i))
				r.learn(mib, 0)
				g.enqueue(&waiter{route: r})
			}
			s := g.signals(true)
			b.ReportAllocs()
			for b.Loop() {
				if v, _ := g.next(s); v != full {
					b.Fatal("there is no room")
				}
			}
		})
	}
}
