// Package memlimit tells how much memory the process may use.
package memlimit

import (
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// Bytes is the lower of GOMEMLIMIT and the limits of the process's cgroups, or
// 0 if there is neither.
func Bytes() int64 {
	limit := debug.SetMemoryLimit(-1)
	if c := cgroup("/sys/fs/cgroup", "/proc/self/cgroup"); c > 0 {
		limit = min(limit, c)
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// cgroup returns the tightest memory limit on the way from the process's own
// cgroup up to the root, for both versions of cgroups. Inside a container the
// path in /proc is often not to be found below the mount: its root is then the
// container's own.
func cgroup(root, self string) int64 {
	b, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	var lowest int64
	lower := func(file string) {
		b, err := os.ReadFile(file)
		if err != nil {
			return
		}
		// Version 2 writes "max" for no limit, version 1 a number near 2^63.
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err == nil && n > 0 && n < math.MaxInt64/2 && (lowest == 0 || n < lowest) {
			lowest = n
		}
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		if fields[1] != "" {
			if fields[1] != "memory" {
				continue
			}
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for p := filepath.Clean("/" + fields[2]); ; p = filepath.Dir(p) {
			lower(filepath.Join(dir, p, file))
			if p == "/" {
				break
			}
		}
	}
	return lowest
}
