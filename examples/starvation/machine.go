package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// cpuModel names the processor as well as the system does.
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
	return runtime.GOOS + "/" + runtime.GOARCH
}

// cores says who runs where.
func (o *options) cores() string {
	procs := fmt.Sprintf("GOMAXPROCS=%d", o.procs)
	if o.serverCore < 0 {
		return fmt.Sprintf("server with %s, nothing pinned, %d cores shared with the load", procs, runtime.NumCPU())
	}
	return fmt.Sprintf("server alone on core %d with %s, load and prober on core %d", o.serverCore, procs, o.loadCore)
}

// describe says what is about to happen.
func (o *options) describe() string {
	var b strings.Builder
	payload := "built for every request"
	if o.payload == "shared" {
		payload = "of one value in memory"
	}
	fmt.Fprintf(&b, "%d keep-alive clients ask for %s entities each, %s,\n", o.clients, sayCount(o.entities), payload)
	if o.stalled > 0 {
		fmt.Fprintf(&b, "%d more never read their answer,\n", o.stalled)
	}
	if o.slow > 0 {
		fmt.Fprintf(&b, "%d more read %g MB/s,\n", o.slow, o.slowRate)
	}
	fmt.Fprintf(&b, "for %d s per server, with a probe every %v (new connection, 1 s limit).\n", o.seconds, o.every)
	fmt.Fprintf(&b, "Cores: %s.\n", o.cores())
	return b.String()
}
