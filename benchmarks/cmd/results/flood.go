package main

import (
	"context"
	"fmt"
	"io"

	"github.com/probelane/probelane/benchmarks/internal/starve"
)

// floodCase is a case with the name of its load, which its candidates share.
type floodCase struct {
	load string
	starve.Case
}

func (c floodCase) name() string { return c.load + "/" + c.Server }

// The loads, in the names of results.
const (
	shared64  = "shared/64clients"
	built64   = "built/64clients"
	built256  = "built/256clients"
	bothCores = "built/64clients/both-cores"
	alone     = "16clients"
	besides   = "16clients+100slow+100stalled"
)

// floodCases are all loads on all servers. The ones that must not fail a probe
// get ten seconds; of the others, three show what there is to see.
var floodCases = func() (all []floodCase) {
	for _, load := range []struct {
		name    string
		clients int
		payload string
		procs   int
		seconds map[string]int
	}{
		{shared64, 64, "shared", 0, map[string]int{"plain": 3, "offload": 6, "guarded": 6, "stream": 6}},
		{built64, 64, "built", 0, map[string]int{"plain": 3, "offload": 3, "guarded": 10, "stream": 10}},
		{built256, 256, "built", 0, map[string]int{"plain": 3, "offload": 3, "guarded": 10, "stream": 10}},
		{bothCores, 64, "built", 2, map[string]int{"plain": 3, "offload": 3, "guarded": 6, "stream": 6}},
	} {
		for _, server := range starve.Servers {
			all = append(all, floodCase{load.name, starve.Case{
				Server: server, Payload: load.payload, Clients: load.clients,
				Procs: load.procs, Seconds: load.seconds[server],
			}})
		}
	}
	return all
}()

// slowCases are sixteen fast clients alone, and beside a hundred that read 0.5
// MB/s and a hundred that never read, from the beginning. It takes seconds to
// know who reads slowly, and those count.
var slowCases = func() (all []floodCase) {
	for _, server := range []string{"guarded", "stream"} {
		all = append(all,
			floodCase{alone, starve.Case{Server: server, Payload: "shared", Clients: 16, Seconds: 5}},
			floodCase{besides, starve.Case{Server: server, Payload: "shared", Clients: 16, Slow: 100, Stalled: 100, Seconds: 20}})
	}
	return all
}()

// floodRound measures each case once.
func floodRound(cases []floodCase, prefix string) func(context.Context, *environment, int, io.Writer) error {
	return func(ctx context.Context, e *environment, round int, out io.Writer) error {
		return inOrder(round, cases, func(c floodCase) error {
			return recordCase(ctx, e, prefix+"/"+c.name(), c.Case, out)
		})
	}
}

func recordCase(ctx context.Context, e *environment, name string, c starve.Case, out io.Writer) error {
	f, err := starve.Run(ctx, e.starvation, c)
	if err != nil {
		return err
	}
	return record(out, name, append(f.Metrics(), starve.Metric{Value: f.SlowMBPerSecond, Unit: "slow-MB/s"}))
}

func floodCommands(cases []floodCase) func() []string {
	return func() (all []string) {
		for _, c := range cases {
			all = append(all, c.Command())
		}
		return all
	}
}

var floodSection = section{
	name:     "flood",
	title:    "Probes under a flood of 40,000 clients per response",
	round:    floodRound(floodCases, "Flood"),
	commands: floodCommands(floodCases),
	tables: func(w io.Writer, s samples) {
		for _, load := range []struct{ name, title string }{
			{shared64, "Payload in memory, 64 clients"},
			{built64, "Payload built per request, 64 clients"},
			{built256, "Payload built per request, 256 clients"},
			{bothCores, "Payload built per request, 64 clients, GOMAXPROCS=2 and both cores shared with the load"},
		} {
			prefix := "Flood/" + load.name
			t := table{load.title, []string{"server", "responses/s", "÷ offload", "probes failed / sent", "p50, ms", "p99, ms", "max, ms", "peak, MB"}, nil}
			for _, server := range starve.Servers {
				full := prefix + "/" + server
				if s.values[full] == nil {
					continue
				}
				t.add(server, number(s.of(full, "responses/s"), 1),
					times(ratios(s.of(full, "responses/s"), s.of(prefix+"/offload", "responses/s"))),
					fmt.Sprintf("%.0f / %.0f", sum(s.of(full, "failed")), sum(s.of(full, "probes"))),
					number(s.of(full, "p50-ms"), 2), number(s.of(full, "p99-ms"), 1), number(s.of(full, "max-ms"), 1),
					number(s.of(full, "peak-MB"), 0))
			}
			t.write(w)
		}
	},
}

var slowSection = section{
	name:     "slow",
	title:    "Sixteen fast clients beside a hundred slow ones and a hundred that never read",
	round:    floodRound(slowCases, "Slow"),
	commands: floodCommands(slowCases),
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"server", "responses/s alone", "responses/s beside", "beside ÷ alone", "slow clients, MB/s", "errors", "probes failed / sent", "p99, ms", "peak, MB"}, nil}
		for _, server := range []string{"guarded", "stream"} {
			a, b := "Slow/"+alone+"/"+server, "Slow/"+besides+"/"+server
			t.add(server, number(s.of(a, "responses/s"), 1), number(s.of(b, "responses/s"), 1),
				times(ratios(s.of(b, "responses/s"), s.of(a, "responses/s"))), number(s.of(b, "slow-MB/s"), 1),
				fmt.Sprintf("%.0f", sum(s.of(b, "errors"))),
				fmt.Sprintf("%.0f / %.0f", sum(s.of(b, "failed")), sum(s.of(b, "probes"))),
				number(s.of(b, "p99-ms"), 1), number(s.of(b, "peak-MB"), 0))
		}
		t.write(w)
	},
}
