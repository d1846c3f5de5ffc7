package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// options are the flags, checked.
type options struct {
	clients    int
	entities   int
	seconds    int
	every      time.Duration
	servers    []mode
	payload    string
	stalled    int
	slow       int
	slowRate   float64 // MB/s
	procs      int
	pin        bool
	addr       string
	report     string
	json       bool
	serve      *mode // run this server alone
	probe      bool  // nothing but probe the one at addr
	command    string
	serverCore int // negative: any
	loadCore   int // negative: any
}

const usage = `Starvation floods a Gin service with requests for large JSON responses, probes
it as kubelet does, and compares how servers fare. It takes about 40 seconds.

  go run ./examples/starvation                 three servers, one after another
  go run ./examples/starvation -c 256          a heavier flood
  go run ./examples/starvation -servers guarded,stream
  go run ./examples/starvation -serve plain    one alone, for curl, ab or wrk

Servers:
%s
A server alone answers /clients (the large response), /sleep (waits 100 ms),
/small (60 bytes) and /livez. Its GOMAXPROCS is that of the environment.

Restarts are those kubelet would order at its defaults (a probe every 10 s, a
restart after 3 failures in a row). As a run is too short for that, it is read
as if it had lasted %d times as long: the probes of one second stand for one of
kubelet's periods, every way of choosing one probe per period is counted, and
the average is shown. So 0.0 means never, and in a run of 12 s the most is 4.

It exits with 1 if a server with probelane failed a probe or one could not be
measured, with 2 on a wrong flag, with 130 on Ctrl-C.

Flags:
`

// parseOptions reads the flags. The error, if not flag.ErrHelp, says what is
// wrong with them; what -h asks for has been written to w.
func parseOptions(args []string, w io.Writer) (options, error) {
	o := options{serverCore: -1, loadCore: -1}
	fs := flag.NewFlagSet("starvation", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is told once, by the caller
	fs.IntVar(&o.clients, "c", 64, "`clients` that keep their connection and ask again once they have their answer")
	fs.IntVar(&o.entities, "entities", flood.Entities, "`entities` in one response, 460 bytes of JSON each")
	fs.IntVar(&o.seconds, "seconds", 12, "`seconds` of flood per server")
	fs.DurationVar(&o.every, "every", 20*time.Millisecond, "`interval` between the starts of two probes")
	servers := fs.String("servers", "plain,offload,guarded", "which `servers` to measure, separated by commas")
	fs.StringVar(&o.payload, "payload", "built", "`where` responses come from: built by each request, or shared, one in memory")
	fs.IntVar(&o.stalled, "stalled", 0, "`clients` beside the others that ask once and never read")
	fs.IntVar(&o.slow, "slow", 0, "`clients` beside the others that read slowly")
	fs.Float64Var(&o.slowRate, "slow-rate", 0.5, "`MB/s` at which a slow client reads")
	fs.IntVar(&o.procs, "procs", 1, "`GOMAXPROCS` of the servers; above 1 nothing is pinned")
	fs.BoolVar(&o.pin, "pin", true, "keep the server on one core and the load on another (Linux)")
	fs.StringVar(&o.report, "report", "starvation.html", "`file` for the report; \"\" for none")
	fs.BoolVar(&o.json, "json", false, "print the results as JSON, and everything else to standard error")
	serve := fs.String("serve", "", "run only the server of this `name`, until it is interrupted")
	fs.BoolVar(&o.probe, "probe", false, "only probe the server at -addr and print every probe as JSON")
	fs.StringVar(&o.addr, "addr", "", "`address` of the servers (default a free port; with -serve 127.0.0.1:8080)")

	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			var list strings.Builder
			for _, m := range modes {
				fmt.Fprintf(&list, "  %-8s %-27s %s\n", m.name, m.title, m.how)
			}
			fmt.Fprintf(w, usage, list.String(), flood.TimeScale)
			fs.SetOutput(w)
			fs.PrintDefaults()
		}
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	var err error
	if *serve != "" {
		m, err := modeNamed(*serve)
		if err != nil {
			return o, err
		}
		o.serve = &m
		if o.addr == "" {
			o.addr = "127.0.0.1:8080"
		}
	}
	for name := range strings.SplitSeq(*servers, ",") {
		m, err := modeNamed(strings.TrimSpace(name))
		if err != nil {
			return o, err
		}
		if slices.ContainsFunc(o.servers, func(have mode) bool { return have.name == m.name }) {
			return o, fmt.Errorf("-servers names %s twice", m.name)
		}
		o.servers = append(o.servers, m)
	}
	if o.probe {
		if _, _, err := net.SplitHostPort(o.addr); err != nil || o.serve != nil {
			return o, errors.New("-probe needs a host:port in -addr, and no -serve")
		}
	}
	o.command = commandLine(args)
	err = errors.Join(
		within("-c", o.clients, 0, 10_000),
		within("-entities", o.entities, 0, 1_000_000),
		within("-seconds", o.seconds, 1, 600),
		within("-every, in milliseconds,", int(o.every/time.Millisecond), 1, 10_000),
		within("-stalled", o.stalled, 0, 10_000),
		within("-slow", o.slow, 0, 10_000),
		within("-procs", o.procs, 1, 1024),
	)
	if o.payload != "built" && o.payload != "shared" {
		err = errors.Join(err, fmt.Errorf("-payload is %q, must be built or shared", o.payload))
	}
	if o.slowRate < 0.001 || o.slowRate > 10_000 {
		err = errors.Join(err, fmt.Errorf("-slow-rate is %v, must be 0.001 to 10000", o.slowRate))
	}
	return o, err
}

func within(flag string, got, low, high int) error {
	if got < low || got > high {
		return fmt.Errorf("%s is %d, must be %d to %d", flag, got, low, high)
	}
	return nil
}

func modeNamed(name string) (mode, error) {
	names := make([]string, 0, len(modes))
	for _, m := range modes {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return mode{}, fmt.Errorf("no server %q, there are %s", name, strings.Join(names, ", "))
}

// commandLine is how this run is called from the project's root.
func commandLine(args []string) string {
	line := "go run ./examples/starvation"
	for _, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$`*?;&|<>(){}[]#~!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		line += " " + a
	}
	return line
}

// source returns what the servers answer with.
func (o options) source() source {
	if o.payload == "shared" {
		v := flood.Build(o.entities)
		return func() *flood.Clients { return v }
	}
	return func() *flood.Clients { return flood.Build(o.entities) }
}
