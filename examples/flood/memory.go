package flood

import (
	"errors"
	"sync"
	"time"
)

// ErrNoMemory is returned by ReadMemory where the system does not tell a
// process's memory in a way this package reads: anywhere but on Linux.
var ErrNoMemory = errors.New("flood: memory readings need Linux")

// Memory is what a process holds, in bytes.
type Memory struct {
	At   time.Duration // since the watch began
	RSS  int64         // resident now
	Peak int64         // the most that ever was resident
}

// MemoryWatch reads a process's memory at an interval, from WatchMemory to
// Stop.
type MemoryWatch struct {
	stop    chan struct{}
	done    sync.WaitGroup
	samples []Memory // the watch's goroutine's until done
}

// WatchMemory starts reading the memory of process pid, now and every interval
// (0 means 100 ms) until Stop is called or the process is gone.
func WatchMemory(pid int, every time.Duration) *MemoryWatch {
	if every <= 0 {
		every = 100 * time.Millisecond
	}
	w := &MemoryWatch{stop: make(chan struct{})}
	start := time.Now()
	w.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			m, err := ReadMemory(pid)
			if err != nil {
				return
			}
			m.At = time.Since(start)
			w.samples = append(w.samples, m)
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// Stop ends the watch and returns its readings, the oldest first; none where
// there is nothing to read. The Peak of the last is the process's peak. Stop
// is called once.
func (w *MemoryWatch) Stop() []Memory {
	close(w.stop)
	w.done.Wait()
	return w.samples
}
