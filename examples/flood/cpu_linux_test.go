package flood

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeOfThisProcess(t *testing.T) {
	for {
		got, err := CPUTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if got > 0 { // reading it takes time, too
			return
		}
	}
}

func TestParseStat(t *testing.T) {
	for _, tc := range []struct {
		name, stat string
		want       time.Duration
		ok         bool
	}{
		{"user and system time", "7 (x) R 1 7 7 0 -1 0 1 2 3 4 150 50 0 0 20", 2 * time.Second, true},
		{"a name with parentheses and spaces", "7 (a) b) (c) R 1 7 7 0 -1 0 1 2 3 4 1 1 0 0 20", 20 * time.Millisecond, true},
		{"too short", "7 (x) R 1 7", 0, false},
		{"no numbers", "7 (x) R 1 7 7 0 -1 0 1 2 3 4 a b 0", 0, false},
		{"nothing", "", 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := parseStat([]byte(tc.stat)); got != tc.want || (err == nil) != tc.ok {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
