package sched

import (
	"runtime"
	"sync"
	"testing"
)

func TestRunnableSeesWaitingGoroutines(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	g := Runnable()
	var wg sync.WaitGroup
	// With one processor and this goroutine on it none of them can start, unless
	// it is moved aside after 10 ms, which on a busy machine are soon over. They
	// give way a few times, so that then too most have not ended.
	for range 100 {
		wg.Go(func() {
			for range 100 {
				runtime.Gosched()
			}
		})
	}
	if got := g.Read(); got < 50 {
		t.Errorf("runnable = %d with 100 goroutines waiting for the processor", got)
	}
	wg.Wait()
}

func TestAllocatedCounts(t *testing.T) {
	g := Allocated()
	before := g.Read()
	sink = make([]byte, 1<<20)
	if got := g.Read() - before; got < 1<<20 {
		t.Errorf("allocated %d bytes, want at least 1 MiB", got)
	}
}

func TestReadIsSafeForManyReaders(t *testing.T) {
	g := Runnable()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				g.Read()
			}
		})
	}
	wg.Wait()
}

var sink []byte

func BenchmarkRunnable(b *testing.B) {
	g := Runnable()
	for b.Loop() {
		g.Read()
	}
}

func BenchmarkAllocated(b *testing.B) {
	g := Allocated()
	for b.Loop() {
		g.Read()
	}
}
