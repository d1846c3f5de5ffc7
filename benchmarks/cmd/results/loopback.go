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

// loopbackBuild builds the servers and the load of the sections here.
func loopbackBuild(ctx context.Context, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/probelane/probelane/benchmarks/cmd/loopback")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building loopback: %w\n%s", err, out)
	}
	return nil
}

// withLoopback starts a server on its core and calls f with its address.
func withLoopback(ctx context.Context, e *environment, server string, f func(addr string) error) error {
	return withProcess(ctx, e, e.loopback, server, f)
}

// withLoopbacks starts several, and calls f with their addresses by name.
func withLoopbacks(ctx context.Context, e *environment, servers []string, f func(addrs map[string]string) error) error {
	if len(servers) == 0 {
		return f(map[string]string{})
	}
	return withLoopback(ctx, e, servers[0], func(addr string) error {
		return withLoopbacks(ctx, e, servers[1:], func(addrs map[string]string) error {
			addrs[servers[0]] = addr
			return f(addrs)
		})
	})
}

// loopbackLoad asks the server for a path from the load's core, and passes on
// what it reports.
func loopbackLoad(ctx context.Context, e *environment, addr, path, name string, clients int, out io.Writer) error {
	return loopbackReport(ctx, e, name, out, "-load", path, "-addr", addr, "-c", strconv.Itoa(clients))
}

func loopbackReport(ctx context.Context, e *environment, name string, out io.Writer, args ...string) error {
	args = append([]string{"-c", strconv.Itoa(e.loadCore), e.loopback, "-name", name}, args...)
	cmd := exec.CommandContext(ctx, "taskset", args...)
	cmd.Env = append(cmd.Environ(), "GOMAXPROCS=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s", name, err, stderr.Bytes())
	}
	_, err := out.Write(stdout.Bytes())
	return err
}

func loopbackCommands(servers []string, loads ...string) []string {
	commands := []string{"go build -o /tmp/loopback ./benchmarks/cmd/loopback"}
	for _, server := range servers {
		commands = append(commands, "GOMAXPROCS=1 taskset -c 0 /tmp/loopback -serve "+server)
	}
	for _, load := range loads {
		commands = append(commands, "GOMAXPROCS=1 taskset -c 1 /tmp/loopback "+load)
	}
	return commands
}

// loopbackServers take turns of a second with the other limit.
var loopbackServers = []string{"static", "encoder", "guarded"}

// turnLoad is a turn. c.JSON has not sent a whole response by then: it is asked
// for ten seconds, once its first are over.
const (
	turnLoad  = "-load /clients -c 8 -for 1s -warm 250ms"
	plainLoad = "-load /clients -c 8 -for 10s -warm 5s"
)

// loopbackTurns is how often all of them have theirs in a round. A virtual machine
// that is twice as fast for half a minute is so for all.
const loopbackTurns = 8

// sonicLimit is the other limit beside static: what it takes to encode a
// response, and nothing else.
const sonicLimit = "Encode/clients/18MB/sonic-EncodeInto-limit"

var loopbackSection = section{
	name:  "loopback",
	title: "18 MB over loopback, 8 clients, the server on one core",
	round: func(ctx context.Context, e *environment, round int, out io.Writer) error {
		ask := func(server, addr, load string) error {
			return loopbackReport(ctx, e, "Loopback/"+server, out, append(strings.Fields(load), "-addr", addr)...)
		}
		err := withLoopback(ctx, e, "plain", func(addr string) error { return ask("plain", addr, plainLoad) })
		if err != nil {
			return err
		}
		return withLoopbacks(ctx, e, loopbackServers, func(addrs map[string]string) error {
			for turn := range loopbackTurns {
				err := inOrder(round+turn, append(loopbackServers, sonicLimit), func(name string) error {
					if name == sonicLimit {
						return limitBenchmark.run(ctx, e, round, strconv.Itoa(e.serverCore), out)
					}
					return ask(name, addrs[name], turnLoad)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	},
	commands: func() []string {
		return append(loopbackCommands(append([]string{"plain"}, loopbackServers...), turnLoad, plainLoad+" # plain"), limitBenchmark.command("0"))
	},
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"server", "responses/s", "MB/s", "of what the limits allow"}, nil}
		for _, server := range append([]string{"plain"}, loopbackServers...) {
			full := "Loopback/" + server
			share := "–"
			if server != "plain" {
				share = times(ofLimits(s, full))
			}
			t.add(server, number(s.of(full, "responses/s"), 1), number(s.of(full, "MB/s"), 0), share)
		}
		t.write(w)
		fmt.Fprintf(w, "The limits: sending a body that is ready (`static`), and encoding it with sonic into a warm buffer, %s.\nOne after the other on one core they allow %s MB/s. All but `plain` took %d turns of a second in each round.\n\n",
			duration(s.of(sonicLimit, "ns/op")), number(allowed(s), 0), loopbackTurns)
	},
}

var limitBenchmark = exactly(sonicLimit, "200ms")

// exactly is the benchmark of one name, and of none that it is a part of, on one
// core.
func exactly(name, time string) benchmark {
	return benchmark{pattern: "^Benchmark" + strings.ReplaceAll(name, "/", "$/^") + "$", time: time, cpu: 1}
}

// allowed is how many MB a second a core could encode and send, if each took as
// long as the two limits together.
func allowed(s samples) []float64 {
	return pairwise(s.of("Loopback/static", "MB/s"), s.of(sonicLimit, "MB/s"),
		func(static, sonic float64) float64 { return 1 / (1/static + 1/sonic) })
}

// ofLimits is the share of it that a server reaches.
func ofLimits(s samples, server string) []float64 {
	return ratios(s.of(server, "MB/s"), allowed(s))
}

// Fairness, on the encoder alone and over HTTP.
var (
	fairBenchmark = benchmark{pattern: "^BenchmarkFairness$", time: "1x", cpu: 1}
	fairServers   = []string{"encoder", "guarded"}
)

var fairSection = section{
	name:  "fair",
	title: "A response of 64 KB beside 64 of 18 MB, one core",
	round: func(ctx context.Context, e *environment, round int, out io.Writer) error {
		if err := fairBenchmark.run(ctx, e, round, strconv.Itoa(e.serverCore), out); err != nil {
			return err
		}
		return inOrder(round, fairServers, func(server string) error {
			return withLoopback(ctx, e, server, func(addr string) error {
				var large bytes.Buffer // at the same time as the other's output
				flooded := make(chan error, 1)
				go func() {
					flooded <- loopbackLoad(ctx, e, addr, "/clients", "FairnessHTTP/large/"+server, 64, &large)
				}()
				err := loopbackLoad(ctx, e, addr, "/page", "FairnessHTTP/page/"+server, 1, out)
				if flood := <-flooded; err == nil {
					err = flood
				}
				if err != nil {
					return err
				}
				_, err = out.Write(large.Bytes())
				return err
			})
		})
	},
	commands: func() []string {
		return append([]string{fairBenchmark.command("0")},
			loopbackCommands(fairServers, "-load /clients -c 64", "-load /page -c 1 # at the same time")...)
	},
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"how", "p50, ms", "p99, ms", "max, ms", "large ones per second"}, nil}
		for _, name := range s.under("Fairness") {
			full := "Fairness/" + name
			t.add(name, number(s.of(full, "p50-response-ms"), 2), number(s.of(full, "p99-response-ms"), 2), number(s.of(full, "max-response-ms"), 1), number(s.of(full, "large/s"), 0))
		}
		for _, server := range fairServers {
			full := "FairnessHTTP/page/" + server
			t.add("over HTTP, "+server, number(s.of(full, "p50-response-ms"), 2), number(s.of(full, "p99-response-ms"), 2), number(s.of(full, "max-response-ms"), 1),
				number(s.of("FairnessHTTP/large/"+server, "responses/s"), 0))
		}
		t.write(w)
	},
}
