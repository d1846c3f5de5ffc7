package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/probelane/probelane/benchmarks/internal/starve"
)

// The lane: what a probe takes where nothing else happens, what the lane costs
// those who are not probes, and a service that drowns behind it.

// idleServers are probed while they have nothing to do.
var idleServers = []string{"bare", "laneless", "guarded"}

// They are probed in turn, idleFor each, since a machine changes from one minute to
// the next by more than they differ.
const (
	idleFor   = 2 * time.Second
	idleTurns = 5
)

// costCases are those of cmd/loopback, which floods two servers in turn.
var costCases = []string{"none", "none-lane", "1-per-second", "50-per-second"}

var costServers = []string{"laneless", "guarded"}

const costLoad = "-load /clients -c 64 -for 1s -warm 250ms"

// lanePair are the servers whose other connections are compared.
var lanePair = []string{"laneless", "stream"}

// The tools for it take turns of a second, and of less where connections are new,
// since few of those are enough.
var (
	keptTool = []string{"wrk", "-t1", "-c32", "-d1s", "--latency"}
	newTool  = []string{"ab", "-q", "-n", "2000", "-c", "32"}
)

// drowned is plain Gin behind a lane, and nothing else of ours.
var drowned = starve.Case{Server: "lane", Payload: "built", Clients: 256, Seconds: 10}

var laneSection = section{
	name:  "lane",
	title: "The probe lane",
	needs: "wrk",
	round: func(ctx context.Context, e *environment, round int, out io.Writer) error {
		err := withLoopbacks(ctx, e, idleServers, func(addrs map[string]string) error {
			for turn := range idleTurns {
				err := inOrder(round+turn, idleServers, func(server string) error {
					return loopbackReport(ctx, e, "Lane/idle/"+server, out, "-probe", "/livez", "-addr", addrs[server], "-for", idleFor.String())
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		err = withLoopbacks(ctx, e, costServers, func(addrs map[string]string) error {
			args := append(strings.Fields(costLoad), "-addr", addrs["guarded"], "-laneless", addrs["laneless"])
			return loopbackReport(ctx, e, "Lane/cost", out, args...)
		})
		if err != nil {
			return err
		}
		if err := inTurns(ctx, e, lanePair, 6, keptTool, parseWrk, "Lane/kept/", out); err != nil {
			return err
		}
		if err := inTurns(ctx, e, lanePair, 30, newTool, parseAB, "Lane/new/", out); err != nil {
			return err
		}
		return recordCase(ctx, e, "Lane/drowned", drowned, out)
	},
	commands: func() []string {
		all := loopbackCommands(idleServers, "-probe /livez -for "+idleFor.String())
		all = append(all,
			"GOMAXPROCS=1 taskset -c 0 /tmp/loopback -serve "+costServers[0]+" -addr 127.0.0.1:8081",
			"GOMAXPROCS=1 taskset -c 1 /tmp/loopback "+costLoad+" -laneless 127.0.0.1:8081 # and "+costServers[1]+" at 8080")
		return append(all, serveCommand("laneless"), serveCommand("stream"),
			"taskset -c 1 "+strings.Join(keptTool, " ")+" http://127.0.0.1:8080/small",
			"taskset -c 1 "+strings.Join(newTool, " ")+" http://127.0.0.1:8080/small", drowned.Command())
	},
	tables: func(w io.Writer, s samples) {
		t := table{"Idle, 50 probes a second, each on a new connection", []string{"server", "p50, ms", "÷ bare", "p99, ms", "max, ms", "failed"}, nil}
		for _, server := range idleServers {
			full := "Lane/idle/" + server
			t.add(server, number(s.of(full, "p50-ms"), 3), times(ratios(s.of(full, "p50-ms"), s.of("Lane/idle/bare", "p50-ms"))),
				number(s.of(full, "p99-ms"), 2), number(s.of(full, "max-ms"), 2), fmt.Sprintf("%.0f", sum(s.of(full, "failed"))))
		}
		t.write(w)
		t = table{"What probes cost 64 clients of 18 MB from memory", []string{"probes", "responses/s", "÷ no lane, no probes", "failed / sent"}, nil}
		for _, name := range costCases {
			full := "Lane/cost/" + name
			t.add(name, number(s.of(full, "responses/s"), 1), times(ratios(s.of(full, "responses/s"), s.of("Lane/cost/none", "responses/s"))),
				fmt.Sprintf("%.0f / %.0f", sum(s.of(full, "failed")), sum(s.of(full, "probes"))))
		}
		t.write(w)
		t = table{"What the lane costs requests of 60 bytes", []string{"server", "kept connections, requests/s", "÷ laneless", "new connections, requests/s", "÷ laneless"}, nil}
		for _, server := range lanePair {
			row := []string{server}
			for _, kind := range []string{"kept/", "new/"} {
				row = append(row, number(s.of("Lane/"+kind+server, "requests/s"), 0),
					times(ratios(s.of("Lane/"+kind+server, "requests/s"), s.of("Lane/"+kind+"laneless", "requests/s"))))
			}
			t.add(row...)
		}
		t.write(w)
		t = table{"Plain Gin behind the lane alone, 256 clients, payload built per request", enduredColumns, nil}
		addEndured(&t, s, "Lane/drowned", "lane")
		t.write(w)
	},
}

// endured are floods of five minutes.
var endured = func() (all []floodCase) {
	const minutes = 5
	for _, c := range []floodCase{
		{built256, starve.Case{Server: "stream", Payload: "built", Clients: 256}},
		// Without a limit it has 24 GB after three minutes.
		{built256, starve.Case{Server: "lane", Payload: "built", Clients: 256, Memory: "16GiB"}},
		{shared64, starve.Case{Server: "stream", Payload: "shared", Clients: 64}},
		{built256, starve.Case{Server: "guarded", Payload: "built", Clients: 256}},
	} {
		c.Seconds = 60 * minutes
		all = append(all, c)
	}
	return all
}()

var enduredColumns = []string{"server", "responses/s", "probes failed / sent", "p50, ms", "p99, ms", "max, ms", "peak, MB"}

func addEndured(t *table, s samples, full, name string) {
	t.add(name, number(s.of(full, "responses/s"), 1), fmt.Sprintf("%.0f / %.0f", sum(s.of(full, "failed")), sum(s.of(full, "probes"))),
		number(s.of(full, "p50-ms"), 2), number(s.of(full, "p99-ms"), 2), number(s.of(full, "max-ms"), 1), number(s.of(full, "peak-MB"), 0))
}

var endureSection = section{
	name:     "endure",
	title:    "Five minutes of flood, 50 probes a second",
	rounds:   1,
	round:    floodRound(endured, "Endure"),
	commands: floodCommands(endured),
	tables: func(w io.Writer, s samples) {
		t := table{"", enduredColumns, nil}
		for _, c := range endured {
			addEndured(&t, s, "Endure/"+c.name(), c.name())
		}
		t.write(w)
	},
}

// laneGoals are those of the lane and of the floods it has to endure.
func laneGoals() (all []goal) {
	all = append(all,
		goal{"lane", "idle, a probe on a new connection: p50, times a bare accept-write loop's", "≤ 1.2",
			ratio("Lane/idle/guarded", "Lane/idle/bare", "p50-ms"), atMost(1.2), "%.2f"},
		goal{"lane", "50 probes a second: responses/s, times those without lane and probes", "≥ 0.97",
			ratio("Lane/cost/50-per-second", "Lane/cost/none", "responses/s"), atLeast(0.97), "%.3f"},
		goal{"lane", "one probe a second: the same", "≥ 0.99",
			ratio("Lane/cost/1-per-second", "Lane/cost/none", "responses/s"), atLeast(0.99), "%.3f"},
		goal{"lane", "60 bytes on kept connections: requests/s, times those without a lane", "≥ 0.99",
			ratio("Lane/kept/stream", "Lane/kept/laneless", "requests/s"), atLeast(0.99), "%.3f"},
		goal{"lane", "60 bytes on a new connection each: the same", "≥ 0.90",
			ratio("Lane/new/stream", "Lane/new/laneless", "requests/s"), atLeast(0.9), "%.3f"})
	for _, c := range endured {
		name := "Endure/" + c.name()
		p99, text := 5.0, "5 minutes, "+c.name()
		if c.Server == "lane" {
			p99 = 6
		} else {
			all = append(all, goal{"endure", text + ": p50 of probes", "≤ 0.6 ms", middle(name, "p50-ms"), atMost(0.6), "%.2f ms"})
		}
		all = append(all,
			goal{"endure", text + ": p99 of probes", fmt.Sprintf("≤ %.0f ms", p99), middle(name, "p99-ms"), atMost(p99), "%.2f ms"},
			goal{"endure", text + ": probes failed", "0", most(name, "failed"), atMost(0), "%.0f"})
	}
	return all
}
