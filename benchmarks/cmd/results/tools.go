package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/probelane/probelane/benchmarks/internal/starve"
	"github.com/probelane/probelane/examples/flood"
)

// pair are the servers that ab and wrk compare: the same handlers, run by Gin
// and run by middleware.Run.
var pair = []string{"plain", "guarded"}

// withTool starts a fresh server on its core, calls the tool on the other with
// the arguments for warming up, and returns what it said to the others.
func withTool(ctx context.Context, e *environment, server, path string, warm, tool []string) (said string, err error) {
	err = withServer(ctx, e, server, func(addr string) error {
		if _, err := callTool(ctx, e, warm, addr, path); err != nil {
			return err
		}
		said, err = callTool(ctx, e, tool, addr, path)
		return err
	})
	return said, err
}

// inTurns starts both servers of a pair and calls the tool on one and the other,
// in the other order each time. It records the median of each one's requests per
// second. Of what differs between two processes that are measured one after the
// other, or between two seconds of a virtual machine, so little is left that a
// hundredth can be seen.
func inTurns(ctx context.Context, e *environment, servers []string, turns int, tool []string, parse func(string) ([]starve.Metric, error), name string, out io.Writer) error {
	return withServer(ctx, e, servers[0], func(first string) error {
		return withServer(ctx, e, servers[1], func(second string) error {
			addrs := map[string]string{servers[0]: first, servers[1]: second}
			rates := map[string][]float64{}
			for i := range turns + 1 {
				err := inOrder(i, servers, func(server string) error {
					said, err := callTool(ctx, e, tool, addrs[server], "/small")
					if err != nil {
						return err
					}
					metrics, err := parse(said)
					if err != nil {
						return err
					}
					for _, m := range metrics {
						switch {
						case m.Unit == "failed" && m.Value > 0:
							return fmt.Errorf("%s: %g requests failed", server, m.Value)
						case m.Unit == "requests/s" && i > 0: // the first is for warming up
							rates[server] = append(rates[server], m.Value)
						}
					}
					return nil
				})
				if err != nil {
					return err
				}
			}
			for _, server := range servers {
				if err := record(out, name+server, []starve.Metric{{Value: median(rates[server]), Unit: "requests/s"}}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// withServer starts a server on its core and calls f with its address.
func withServer(ctx context.Context, e *environment, server string, f func(addr string) error) error {
	return withProcess(ctx, e, e.starvation, server, f)
}

func withProcess(ctx context.Context, e *environment, path, server string, f func(addr string) error) error {
	addr, err := flood.FreeAddr()
	if err != nil {
		return err
	}
	srv, err := flood.Start(ctx, flood.Process{
		Path: path, Args: []string{"-serve", server, "-addr", addr},
		Addr: addr, Core: e.serverCore, Procs: 1,
	})
	if err != nil {
		return err
	}
	defer srv.Stop()
	return f(addr)
}

// callTool calls a tool on the load's core and returns what it says.
func callTool(ctx context.Context, e *environment, tool []string, addr, path string) (string, error) {
	args := append([]string{"-c", strconv.Itoa(e.loadCore)}, tool...)
	args = append(args, "http://"+addr+path)
	said, err := exec.CommandContext(ctx, "taskset", args...).CombinedOutput()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("taskset %q: %w\n%s", args, err, said)
	}
	return string(said), nil
}

// serveCommand starts a server for a tool by hand.
func serveCommand(server string) string {
	return "go build -o /tmp/starvation ./examples/starvation && GOMAXPROCS=1 taskset -c 0 /tmp/starvation -serve " + server + " -addr 127.0.0.1:8080"
}

var (
	abTool  = []string{"ab", "-q", "-n", "1000", "-c", "100"}
	wrkTool = []string{"wrk", "-t1", "-c32", "-d4s", "--latency"}
)

var abSection = section{
	name:  "ab",
	title: "A handler that sleeps 100 ms",
	needs: "ab",
	round: func(ctx context.Context, e *environment, i int, out io.Writer) error {
		return inOrder(i, pair, func(server string) error {
			said, err := withTool(ctx, e, server, "/sleep", []string{"ab", "-q", "-n", "200", "-c", "100"}, abTool)
			if err != nil {
				return err
			}
			metrics, err := parseAB(said)
			if err != nil {
				return err
			}
			return record(out, "AB/sleep100ms/"+server, metrics)
		})
	},
	commands: func() []string {
		return []string{serveCommand("plain"), serveCommand("guarded"), "taskset -c 1 ab -q -n 1000 -c 100 http://127.0.0.1:8080/sleep"}
	},
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"server", "p50, ms", "p95, ms", "max, ms", "p95 − plain's, ms", "requests/s", "÷ plain", "failed"}, nil}
		base := "AB/sleep100ms/plain"
		for _, server := range pair {
			full := "AB/sleep100ms/" + server
			t.add(server, number(s.of(full, "p50-ms"), 0), number(s.of(full, "p95-ms"), 0), number(s.of(full, "max-ms"), 0),
				number(pairwise(s.of(full, "p95-ms"), s.of(base, "p95-ms"), minus), 0), number(s.of(full, "requests/s"), 0),
				times(ratios(s.of(full, "requests/s"), s.of(base, "requests/s"))), fmt.Sprintf("%.0f", sum(s.of(full, "failed"))))
		}
		t.write(w)
	},
}

var wrkSection = section{
	name:  "wrk",
	title: "A JSON response of 60 bytes",
	needs: "wrk",
	round: func(ctx context.Context, e *environment, i int, out io.Writer) error {
		return inOrder(i, pair, func(server string) error {
			said, err := withTool(ctx, e, server, "/small", []string{"wrk", "-t1", "-c32", "-d1s"}, wrkTool)
			if err != nil {
				return err
			}
			metrics, err := parseWrk(said)
			if err != nil {
				return err
			}
			return record(out, "Wrk/small/"+server, metrics)
		})
	},
	commands: func() []string {
		return []string{serveCommand("plain"), serveCommand("guarded"), "taskset -c 1 wrk -t1 -c32 -d4s --latency http://127.0.0.1:8080/small"}
	},
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"server", "requests/s", "÷ plain", "p50, ms", "p99, ms", "failed"}, nil}
		base := "Wrk/small/plain"
		for _, server := range pair {
			full := "Wrk/small/" + server
			t.add(server, number(s.of(full, "requests/s"), 0), times(ratios(s.of(full, "requests/s"), s.of(base, "requests/s"))),
				number(s.of(full, "p50-ms"), 2), number(s.of(full, "p99-ms"), 2), fmt.Sprintf("%.0f", sum(s.of(full, "failed"))))
		}
		t.write(w)
	},
}

func minus(a, b float64) float64 { return a - b }

// figure finds a figure in a tool's words.
type figure struct {
	unit     string
	pattern  *regexp.Regexp
	optional bool // the tool leaves it out when there is nothing to say
}

var abFigures = []figure{
	{"requests/s", regexp.MustCompile(`(?m)^Requests per second:\s+([\d.]+)`), false},
	{"p50-ms", regexp.MustCompile(`(?m)^\s+50%\s+(\d+)`), false},
	{"p95-ms", regexp.MustCompile(`(?m)^\s+95%\s+(\d+)`), false},
	{"max-ms", regexp.MustCompile(`(?m)^\s+100%\s+(\d+)`), false},
	{"failed", regexp.MustCompile(`(?m)^Failed requests:\s+(\d+)`), false},
	{"failed", regexp.MustCompile(`(?m)^Non-2xx responses:\s+(\d+)`), true},
}

var wrkFigures = []figure{
	{"requests/s", regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`), false},
	{"p50-ms", regexp.MustCompile(`(?m)^\s+50%\s+([\d.]+[mu]?s)`), false},
	{"p99-ms", regexp.MustCompile(`(?m)^\s+99%\s+([\d.]+[mu]?s)`), false},
	{"failed", regexp.MustCompile(`(?m)^\s+Non-2xx or 3xx responses:\s+(\d+)`), true},
	{"failed", regexp.MustCompile(`Socket errors: connect (\d+)`), true},
	{"failed", regexp.MustCompile(`Socket errors: .*read (\d+)`), true},
	{"failed", regexp.MustCompile(`Socket errors: .*write (\d+)`), true},
	{"failed", regexp.MustCompile(`Socket errors: .*timeout (\d+)`), true},
}

func parseAB(said string) ([]starve.Metric, error)  { return parseTool(said, abFigures) }
func parseWrk(said string) ([]starve.Metric, error) { return parseTool(said, wrkFigures) }

// parseTool finds the figures, and adds up those of the same unit.
func parseTool(said string, figures []figure) ([]starve.Metric, error) {
	var metrics []starve.Metric
	for _, f := range figures {
		var value float64
		switch m := f.pattern.FindStringSubmatch(said); {
		case m != nil:
			var err error
			if value, err = inUnit(m[1]); err != nil {
				return nil, err
			}
		case !f.optional:
			return nil, fmt.Errorf("no %s in:\n%s", f.unit, said)
		}
		if n := len(metrics); n > 0 && metrics[n-1].Unit == f.unit {
			metrics[n-1].Value += value
		} else {
			metrics = append(metrics, starve.Metric{Value: value, Unit: f.unit})
		}
	}
	return metrics, nil
}

// inUnit reads a plain number, or a duration as milliseconds.
func inUnit(s string) (float64, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return float64(d) / float64(time.Millisecond), nil
	}
	return strconv.ParseFloat(s, 64)
}
