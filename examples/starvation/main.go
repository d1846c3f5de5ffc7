package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/probelane/probelane/examples/flood"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell has it for SIGINT
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "starvation: %v\nRun with -h for the flags.\n", err)
		return exitUsage
	}
	if o.serve != nil {
		fmt.Fprintf(stderr, "%s: http://%s/clients, also /sleep, /small and /livez\n", o.serve.name, o.addr)
		if err := o.serve.run(o.addr, o.source()); err != nil {
			fmt.Fprintf(stderr, "starvation: %s: %v\n", o.serve.name, err)
			return exitFailed
		}
		return 0
	}

	// All that listens to ctx stops at the first signal; a second one ends this
	// process at once, and on Linux the kernel ends its children with it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)

	if o.probe {
		err := o.probeAlone(ctx, stdout)
		if ctx.Err() != nil {
			return exitInterrupted
		}
		if err != nil {
			fmt.Fprintf(stderr, "starvation: %v\n", err)
			return exitFailed
		}
		return 0
	}
	text := stdout
	if o.json {
		text = stderr
	}
	if err := compare(ctx, &o, text, stdout); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "starvation: interrupted; its processes have been stopped, nothing is left running")
			return exitInterrupted
		}
		fmt.Fprintf(stderr, "starvation: %v\n", err)
		return exitFailed
	}
	return 0
}

// compare measures the servers one after another and tells what came out, on
// text for people and, if asked for, on data for programs.
func compare(ctx context.Context, o *options, text, data io.Writer) error {
	o.takeCores()
	con := newConsole(text)
	defer con.close()
	con.printf("%s", o.describe())

	var all []measurement
	for i, m := range o.servers {
		con.stage(i, len(o.servers), m.name)
		got := o.measure(ctx, m, con)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if got.err != nil {
			con.printf("\n%s could not be measured: %v\n", m.name, got.err)
		}
		all = append(all, got)
	}
	con.close()

	res := o.results(all)
	fmt.Fprint(text, res.table())
	if o.report != "" {
		if err := writeReport(o.report, res, all); err != nil {
			return err
		}
		fmt.Fprintf(text, "\nThe report with charts is in %s\n", o.report)
	}
	if o.json {
		if err := res.writeJSON(data); err != nil {
			return err
		}
	}
	return res.verdict()
}

// takeCores gives the servers one core and everything else, the load and the
// prober, another, so that neither is measured by what the other leaves it.
func (o *options) takeCores() {
	cores := flood.Cores()
	if !o.pin || o.procs > 1 || len(cores) < 2 {
		return
	}
	if err := flood.PinSelf(cores[1]); err != nil {
		return // measured unpinned then, and said so
	}
	o.serverCore, o.loadCore = cores[0], cores[1]
	// On one core a second P only makes the load's threads take turns.
	runtime.GOMAXPROCS(1)
}
