package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// goTestBuild builds the test program of this module's root. An experiment is
// one of Go's, "" for none.
func goTestBuild(ctx context.Context, bin, experiment string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "github.com/probelane/probelane/benchmarks")
	cmd.Env = append(os.Environ(), "GOEXPERIMENT="+experiment)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks: %w\n%s", err, out)
	}
	return nil
}

// benchmark is one call of the test program, on some cores.
type benchmark struct {
	pattern, time string
	skip          string // pattern of what to leave out
	cpu           int
	jsonv2        bool // with encoding/json/v2, which has a build of its own
}

// command is what to type at the project's root for it.
func (b benchmark) command(cores string) string {
	experiment := ""
	if b.jsonv2 {
		experiment = "GOEXPERIMENT=jsonv2 "
	}
	skip := ""
	if b.skip != "" {
		skip = " -skip '" + b.skip + "'"
	}
	return fmt.Sprintf("%staskset -c %s go test -run '^$' -bench '%s'%s -benchtime %s -cpu %d ./benchmarks", experiment, cores, b.pattern, skip, b.time, b.cpu)
}

// run passes its results on. In odd rounds what it measures comes in reverse.
func (b benchmark) run(ctx context.Context, e *environment, round int, cores string, out io.Writer) error {
	bin := e.tests
	if b.jsonv2 {
		bin = e.testsV2
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", cores, bin, "-test.run", "^$", "-test.bench", b.pattern, "-test.skip", b.skip,
		"-test.benchtime", b.time, "-test.cpu", strconv.Itoa(b.cpu), "-test.timeout", "1h", fmt.Sprintf("-backwards=%t", round%2 == 1))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s%s", b.command(cores), err, stdout.Bytes(), stderr.Bytes())
	}
	results := 0
	for line := range strings.Lines(stdout.String()) {
		if strings.HasPrefix(line, "Benchmark") {
			results++
			if _, err := io.WriteString(out, line); err != nil {
				return err
			}
		}
	}
	if results == 0 {
		return fmt.Errorf("%s: no results:\n%s%s", b.command(cores), stdout.Bytes(), stderr.Bytes())
	}
	return nil
}

// benchmarkSection is a section of nothing but Go benchmarks, on both cores or
// on the server's.
func benchmarkSection(s section, both bool, all ...benchmark) section {
	s.round = func(ctx context.Context, e *environment, round int, out io.Writer) error {
		cores := strconv.Itoa(e.serverCore)
		if both {
			cores = fmt.Sprintf("%d,%d", e.serverCore, e.loadCore)
		}
		return inOrder(round, all, func(b benchmark) error { return b.run(ctx, e, round, cores, out) })
	}
	s.commands = func() (commands []string) {
		for _, b := range all {
			commands = append(commands, b.command(map[bool]string{false: "0", true: "0,1"}[both]))
		}
		return commands
	}
	return s
}

// A stop needs two processors: one that encodes and one that stops it.
var stopSection = benchmarkSection(section{
	name:  "stw",
	title: "Stopping the world while 18 MB are encoded on one goroutine",
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"variant", "worst of all rounds, ms", "worst of a round, ms", "p99, ms", "stops", "MB/s meanwhile"}, nil}
		for _, name := range s.under("StopTheWorld") {
			full := "StopTheWorld/" + name
			t.add(name, fmt.Sprintf("%.2f", maximum(s.of(full, "worst-stop-ms"))), number(s.of(full, "worst-stop-ms"), 2),
				number(s.of(full, "p99-stop-ms"), 2), fmt.Sprintf("%.0f", sum(s.of(full, "stops"))), number(s.of(full, "MB/s"), 0))
		}
		t.write(w)
	},
}, true, benchmark{pattern: "^BenchmarkStopTheWorld$", time: "1500ms", cpu: 2})

var wakeSection = benchmarkSection(section{
	name:   "wake",
	title:  "Waking up beside an encode of 18 MB, one processor",
	tables: latencyTable("Wakeup", "variant", "late", "MB/s", "MB/s meanwhile"),
}, false, benchmark{pattern: "^BenchmarkWakeup$", time: "1s", cpu: 1})

var quantumSection = benchmarkSection(section{
	name:   "quantum",
	title:  "Waiting for a turn beside an encode, one processor",
	tables: latencyTable("Quantum", "payload and variant", "quantum", "quanta", "turns"),
}, false, benchmark{pattern: "^BenchmarkQuantum$", time: "1s", cpu: 1})

// latencyTable is a table of quantiles, and of one figure beside them.
func latencyTable(prefix, first, what, unit, title string) func(io.Writer, samples) {
	return func(w io.Writer, s samples) {
		t := table{"", []string{first, "p50, ms", "p99, ms", "p99.9, ms", "max, ms", "max of all rounds, ms", title}, nil}
		for _, name := range s.under(prefix) {
			full := prefix + "/" + name
			cells := []string{name}
			for _, q := range []string{"p50", "p99", "p99.9", "max"} {
				cells = append(cells, number(s.of(full, q+"-"+what+"-ms"), 3))
			}
			t.add(append(cells, fmt.Sprintf("%.2f", maximum(s.of(full, "max-"+what+"-ms"))), number(s.of(full, unit), 0))...)
		}
		t.write(w)
	}
}
