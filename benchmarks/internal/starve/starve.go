// Package starve runs the project's own example, examples/starvation, for its
// figures: one server at a time, flooded and probed on cores of their own.
//
//	bin, err := starve.Build(ctx, dir)
//	figures, err := starve.Run(ctx, bin, starve.Case{Server: "stream", Payload: "shared", Clients: 64, Seconds: 5})
//
// So a published figure is one that any reader sees by typing the same command.
package starve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Servers are the example's servers, the bare one first.
var Servers = []string{"plain", "offload", "guarded", "stream"}

// LaneServers tell what the lane is worth: stream without one, and one in front
// of plain.
var LaneServers = []string{"laneless", "lane"}

// Build builds the example into dir and returns the program's path. The
// working directory must be within the benchmarks module.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "starvation")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./starvation")
	cmd.Dir = filepath.Join(root, "..", "examples")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building examples/starvation: %w\n%s", err, out)
	}
	return bin, nil
}

// moduleRoot is the directory of the go.mod above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = up
	}
}

// Case is one measurement of one server.
type Case struct {
	Server  string
	Payload string // built or shared
	Clients int    // that read as fast as they can
	Slow    int    // that read 0.5 MB/s
	Stalled int    // that never read
	Procs   int    // the server's GOMAXPROCS; above 1 nothing is pinned; 0 means 1
	Seconds int
	// Entities in one response; 0 means the example's default of 40,000.
	Entities int
	Memory   string // the server's GOMEMLIMIT; empty means none
}

// Args are the example's flags for c.
func (c Case) Args() []string {
	args := []string{
		"-servers", c.Server, "-payload", c.Payload, "-c", strconv.Itoa(c.Clients),
		"-seconds", strconv.Itoa(c.Seconds),
	}
	for _, f := range []struct {
		flag string
		n    int
	}{{"-slow", c.Slow}, {"-stalled", c.Stalled}, {"-procs", c.Procs}, {"-entities", c.Entities}} {
		if f.n > 0 {
			args = append(args, f.flag, strconv.Itoa(f.n))
		}
	}
	return append(args, "-json", "-report", "")
}

// Command is what to type at the project's root for c.
func (c Case) Command() string {
	quoted := c.Args()
	for i, a := range quoted {
		if a == "" {
			quoted[i] = `""`
		}
	}
	command := "go run ./examples/starvation " + strings.Join(quoted, " ")
	if c.Memory != "" {
		command = "GOMEMLIMIT=" + c.Memory + " " + command
	}
	return command
}

// Figures are what came out, by the example's own names.
type Figures struct {
	Server string `json:"server"`
	Error  string `json:"error"`

	ResponsesPerSecond float64 `json:"responses_per_second"`
	MBPerSecond        float64 `json:"mb_per_second"`
	Shed               int64   `json:"shed"`
	Errors             int64   `json:"errors"`
	Broken             int64   `json:"broken"`
	SlowMBPerSecond    float64 `json:"slow_clients_mb_per_second"`

	ProbesSent   int     `json:"probes_sent"`
	ProbesFailed int     `json:"probes_failed"`
	ProbeP50MS   float64 `json:"probe_p50_ms"`
	ProbeP99MS   float64 `json:"probe_p99_ms"`
	ProbeMaxMS   float64 `json:"probe_max_ms"`

	PeakBytes int64 `json:"peak_bytes"`
}

// Metric is a figure with its unit, as testing.B.ReportMetric takes it.
type Metric struct {
	Value float64
	Unit  string
}

// Metrics are the figures worth a column. The latencies are those of the
// probes that were answered; where none was, there are none.
func (f Figures) Metrics() []Metric {
	m := []Metric{
		{f.ResponsesPerSecond, "responses/s"},
		{f.MBPerSecond, "MB/s"},
		{float64(f.Shed), "shed"},
		{float64(f.Errors + f.Broken), "errors"},
		{float64(f.ProbesSent), "probes"},
		{float64(f.ProbesFailed), "failed"},
	}
	if f.ProbesFailed < f.ProbesSent {
		m = append(m, Metric{f.ProbeP50MS, "p50-ms"}, Metric{f.ProbeP99MS, "p99-ms"}, Metric{f.ProbeMaxMS, "max-ms"})
	}
	if f.PeakBytes > 0 {
		m = append(m, Metric{float64(f.PeakBytes) / 1e6, "peak-MB"})
	}
	return m
}

// Run measures c with the program that Build has built.
func Run(ctx context.Context, bin string, c Case) (Figures, error) {
	cmd := exec.CommandContext(ctx, bin, c.Args()...)
	// Interrupted it stops its server itself, and says so.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if c.Memory != "" {
		cmd.Env = append(cmd.Environ(), "GOMEMLIMIT="+c.Memory) // its server inherits it
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ran := cmd.Run()
	if ctx.Err() != nil {
		return Figures{}, ctx.Err()
	}
	f, err := parse(stdout.Bytes())
	if err != nil {
		return Figures{}, fmt.Errorf("%s: %w\n%s", c.Command(), errors.Join(ran, err), stderr.Bytes())
	}
	// With figures, an exit status says no more than that a probe failed.
	return f, nil
}

func parse(out []byte) (Figures, error) {
	var results struct {
		Servers []Figures `json:"servers"`
	}
	if err := json.Unmarshal(out, &results); err != nil {
		return Figures{}, fmt.Errorf("no results: %w", err)
	}
	if n := len(results.Servers); n != 1 {
		return Figures{}, fmt.Errorf("results of %d servers, want 1", n)
	}
	f := results.Servers[0]
	if f.Error != "" {
		return Figures{}, errors.New(f.Error)
	}
	return f, nil
}
