package flood

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// CPUTime returns how long process pid has run so far, all of its threads
// together. It counts in steps of 10 ms.
func CPUTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

// parseStat adds user and system time, the 14th and 15th field. The second is
// the program's name in parentheses, which may hold anything.
func parseStat(stat []byte) (time.Duration, error) {
	const userHZ = 100 // what Linux tells its users in, whatever it counts in itself
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("flood: cannot read %q in /proc/PID/stat", stat)
	}
	ticks := int64(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("flood: cannot read %q in /proc/PID/stat", stat)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / userHZ, nil
}
