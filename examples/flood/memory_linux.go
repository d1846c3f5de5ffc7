package flood

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// ReadMemory reads what process pid holds now, from /proc/PID/status.
func ReadMemory(pid int) (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	return parseStatus(status)
}

// parseStatus takes the two figures out of a status file. A process that has
// ended and was not yet waited for has neither.
func parseStatus(status []byte) (Memory, error) {
	var m Memory
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		var field *int64
		switch string(name) {
		case "VmRSS":
			field = &m.RSS
		case "VmHWM":
			field = &m.Peak
		default:
			continue
		}
		kb, ok := bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
		n, err := strconv.ParseInt(string(kb), 10, 64)
		if !ok || err != nil {
			return Memory{}, fmt.Errorf("flood: cannot read %q in /proc/PID/status", line)
		}
		*field = n << 10
	}
	if m.Peak == 0 {
		return Memory{}, fmt.Errorf("flood: no memory in /proc/PID/status: has the process ended?")
	}
	return m, nil
}
