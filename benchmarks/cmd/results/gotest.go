package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// goTestBuild builds the test program of this module's root.
func goTestBuild(ctx context.Context, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", bin, "github.com/probelane/probelane/benchmarks")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the benchmarks: %w\n%s", err, out)
	}
	return nil
}

// benchmark is one call of the test program, on some cores.
type benchmark struct {
	pattern, time string
	cpu           int
}

// command is what to type at the project's root for it.
func (b benchmark) command(cores string) string {
	return fmt.Sprintf("taskset -c %s go test -run '^$' -bench '%s' -benchtime %s -cpu %d ./benchmarks", cores, b.pattern, b.time, b.cpu)
}

// run passes its results on.
func (b benchmark) run(ctx context.Context, bin, cores string, out io.Writer) error {
	cmd := exec.CommandContext(ctx, "taskset", "-c", cores, bin, "-test.run", "^$", "-test.bench", b.pattern,
		"-test.benchtime", b.time, "-test.cpu", strconv.Itoa(b.cpu))
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

// encodeTimes are how long one variant is measured with payloads of a size: the
// small ones are steady sooner.
var encodeTimes = []struct{ sizes, time string }{{"MB$", "600ms"}, {"KB$", "150ms"}}

// exactly is the benchmark of one name, and of none that it is a part of.
func exactly(name, time string, cpu int) benchmark {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return benchmark{"^Benchmark" + strings.TrimPrefix(strings.Join(parts, "/"), "^"), time, cpu}
}

// encodeRound measures every variant in a process of its own, so that neither a
// heap that another has grown nor a buffer in somebody's pool counts.
func encodeRound(ctx context.Context, e *environment, round int, out io.Writer) error {
	for _, t := range encodeTimes {
		var once bytes.Buffer // for the names; it is short
		all := benchmark{"^BenchmarkEncode$/^(clients|records)$/" + t.sizes, "1x", 1}
		if err := all.run(ctx, e.tests, strconv.Itoa(e.serverCore), &once); err != nil {
			return err
		}
		found, err := readSamples(&once)
		if err != nil {
			return err
		}
		if err := inOrder(round, found.names, func(name string) error {
			return exactly(name, t.time, 1).run(ctx, e.tests, strconv.Itoa(e.serverCore), out)
		}); err != nil {
			return err
		}
	}
	return nil
}

var encodeSection = section{
	name:  "encode",
	title: "Encoding, one goroutine on one core, each variant in a process of its own",
	round: encodeRound,
	commands: func() []string {
		var all []string
		for i, payload := range []string{"clients/18MB", "clients/64KB"} {
			all = append(all, exactly("Encode/"+payload+"/probelane-Encode", encodeTimes[i].time, 1).command("0")+" # and so on")
		}
		return all
	},
	tables: func(w io.Writer, s samples) {
		payloads := []string{}
		for _, name := range s.under("Encode") {
			payload := name[:strings.LastIndex(name, "/")]
			if len(payloads) == 0 || payloads[len(payloads)-1] != payload {
				payloads = append(payloads, payload)
			}
		}
		for _, p := range payloads {
			prefix := "Encode/" + p
			t := table{"`" + p + "`", []string{"variant", "time", "MB/s", "encoding/json ÷ this", "sonic Std ÷ this", "B/op", "allocs/op"}, nil}
			for _, name := range s.under(prefix) {
				full := prefix + "/" + name
				against := func(base string) string {
					return times(ratios(s.of(prefix+"/"+base, "ns/op"), s.of(full, "ns/op")))
				}
				t.add(name, duration(s.of(full, "ns/op")), number(s.of(full, "MB/s"), 0),
					against("encoding-json-Marshal"), against("sonic-Std-Marshal"),
					number(s.of(full, "B/op"), 0), number(s.of(full, "allocs/op"), 0))
			}
			t.write(w)
		}
	},
}

// A stop needs two processors: one that encodes and one that stops it.
var stopBenchmark = benchmark{"^BenchmarkStopTheWorld$", "1500ms", 2}

var stopSection = section{
	name:  "stw",
	title: "Stopping the world while 18 MB are encoded on one goroutine",
	round: func(ctx context.Context, e *environment, _ int, out io.Writer) error {
		return stopBenchmark.run(ctx, e.tests, fmt.Sprintf("%d,%d", e.serverCore, e.loadCore), out)
	},
	commands: func() []string { return []string{stopBenchmark.command("0,1")} },
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"variant", "worst of all rounds, ms", "worst of a round, ms", "p99, ms", "stops", "MB/s meanwhile"}, nil}
		for _, name := range s.under("StopTheWorld") {
			full := "StopTheWorld/" + name
			t.add(name, fmt.Sprintf("%.2f", maximum(s.of(full, "worst-stop-ms"))), number(s.of(full, "worst-stop-ms"), 2),
				number(s.of(full, "p99-stop-ms"), 2), fmt.Sprintf("%.0f", sum(s.of(full, "stops"))), number(s.of(full, "MB/s"), 0))
		}
		t.write(w)
	},
}
