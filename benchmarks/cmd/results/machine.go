package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// missing reports whether a program is not installed.
func missing(program string) bool {
	_, err := exec.LookPath(program)
	return err != nil
}

// loadAverage is the system's load over the last minute, 0 if it is not known.
func loadAverage() (load float64) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	_, _ = fmt.Sscan(string(b), &load)
	return load
}

// writeHeader tells what the figures below it were measured on, as keys and
// values of the benchmark format.
func writeHeader(ctx context.Context, w io.Writer) error {
	_, err := fmt.Fprintf(w, "date: %s\ngo: %s %s/%s\ncpu: %s\ncores: %d\nkernel: %s\ncommit: %s\nload-before: %.2f\n\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		cpuModel(), runtime.NumCPU(), said(ctx, "uname", "-sr"), said(ctx, "git", "describe", "--always", "--dirty"), loadAverage())
	return err
}

// said is the first line of what a program says, or "unknown".
func said(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).Output()
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if err != nil || len(line) == 0 {
		return "unknown"
	}
	return string(line)
}

// cpuModel names the processor as the kernel does.
func cpuModel() string {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ":")
			if strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return "unknown"
}
