package flood

import (
	"os"
	"testing"
	"time"
)

func TestReadMemoryOfThisProcess(t *testing.T) {
	m, err := ReadMemory(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if m.RSS <= 0 || m.Peak < m.RSS {
		t.Errorf("got %+v", m)
	}
}

func TestParseStatus(t *testing.T) {
	for _, tc := range []struct {
		name, status string
		want         Memory
		ok           bool
	}{
		{"both figures", "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n", Memory{RSS: 1 << 20, Peak: 2 << 20}, true},
		{"a process that has ended", "Name:\tx\nState:\tZ (zombie)\n", Memory{}, false},
		{"a unit nobody knows", "VmHWM:\t2 MB\nVmRSS:\t1 MB\n", Memory{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseStatus([]byte(tc.status))
			if got != tc.want || (err == nil) != tc.ok {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestWatchMemoryEndsWithTheProcess(t *testing.T) {
	w := WatchMemory(1<<30, time.Hour) // no such process
	w.done.Wait()
	if got := w.Stop(); len(got) != 0 {
		t.Errorf("read %v of no process", got)
	}
}

func TestWatchMemoryReadsAtOnce(t *testing.T) {
	w := WatchMemory(os.Getpid(), time.Nanosecond)
	if got := w.Stop(); len(got) == 0 || got[len(got)-1].Peak == 0 {
		t.Errorf("read %v", got)
	}
}
