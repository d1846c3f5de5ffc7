// Results makes the figures that are published about probelane.
//
//	go run ./cmd/results [-rounds n] [-o dir] all | section...
//
// The sections are encode, parallel, large, quantum, wake, first, stw, loopback,
// fair, ab, wrk, lane, flood, slow, compressed and endure. Each runs
// all of its
// candidates once per round, so that a machine that changes its mind half-way
// changes it for all of them, and writes what it measured to dir/SECTION.txt in
// the format of Go's benchmarks, for benchstat and for the summary. After each
// section dir/summary.md is written anew from all sections that are there;
// "summary" alone does only that.
//
// It needs Linux, two cores with nothing else on them, taskset, and for two of
// the sections ab and wrk; it says so and goes on where those are missing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/probelane/probelane/benchmarks/internal/starve"
	"github.com/probelane/probelane/examples/flood"
)

// section is one group of measurements and what is said of it.
type section struct {
	name  string
	title string
	// round measures every candidate once and records it. What it needs to be
	// run is in it; i counts from 0.
	round func(ctx context.Context, e *environment, i int, out io.Writer) error
	// rounds bounds how often it is run, for one that takes long; 0 does not.
	rounds int
	// needs names the program without which the section is skipped.
	needs string
	// commands are what was run, for a reader to type.
	commands func() []string
	// tables writes the section's tables.
	tables func(w io.Writer, s samples)
}

// sections in the order they are run: what takes little memory first.
var sections = []section{
	encodeSection, parallelSection, quantumSection, wakeSection, firstSection, stopSection, loopbackSection, fairSection,
	abSection, wrkSection, laneSection, floodSection, slowSection, compressedSection, endureSection, largeSection,
}

// environment is what the sections run in.
type environment struct {
	serverCore, loadCore int
	starvation           string // the example's program
	loopback             string // the program in cmd/loopback
	tests, testsV2       string // the benchmarks' test program, and the one with encoding/json/v2
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "results:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, w io.Writer) error {
	names := make([]string, 0, len(sections))
	for _, s := range sections {
		names = append(names, s.name)
	}
	fs := flag.NewFlagSet("results", flag.ContinueOnError)
	rounds := fs.Int("rounds", 5, "`times` that every candidate is measured")
	dir := fs.String("o", "results", "`directory` for what comes out")
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: results [flags] all | summary | section...\nsections: %s\n", strings.Join(names, ", "))
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	wanted := fs.Args()
	if len(wanted) == 0 {
		fs.Usage()
		return flag.ErrHelp
	}
	if *rounds < 1 {
		return fmt.Errorf("-rounds is %d, must be at least 1", *rounds)
	}
	for _, name := range wanted {
		if name != "all" && name != "summary" && !slices.Contains(names, name) {
			return fmt.Errorf("no section %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	if !slices.Equal(wanted, []string{"summary"}) {
		if err := measure(ctx, w, *dir, *rounds, wanted); err != nil {
			return err
		}
	}
	return writeSummary(*dir, w)
}

// measure runs the wanted sections.
func measure(ctx context.Context, w io.Writer, dir string, rounds int, wanted []string) error {
	cores := flood.Cores()
	if len(cores) < 2 {
		return errors.New("needs Linux and two cores: one for the server, one for the load")
	}
	if missing("taskset") {
		return errors.New("needs taskset, which is in util-linux")
	}
	bin, err := os.MkdirTemp("", "probelane-results-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	e := &environment{serverCore: cores[0], loadCore: cores[1], loopback: filepath.Join(bin, "loopback"),
		tests: filepath.Join(bin, "bench.test"), testsV2: filepath.Join(bin, "bench-v2.test")}
	fmt.Fprintln(w, "building")
	if e.starvation, err = starve.Build(ctx, bin); err != nil {
		return err
	}
	if err := errors.Join(loopbackBuild(ctx, e.loopback), goTestBuild(ctx, e.tests, ""), goTestBuild(ctx, e.testsV2, "jsonv2")); err != nil {
		return err
	}
	if busy := loadAverage(); busy > 0.5 {
		fmt.Fprintf(w, "warning: the machine is not quiet: its load was %.2f over the last minute\n", busy)
	}
	for _, s := range sections {
		if !slices.Contains(wanted, "all") && !slices.Contains(wanted, s.name) {
			continue
		}
		if s.needs != "" && missing(s.needs) {
			fmt.Fprintf(w, "%s: skipped, because %s is not installed\n", s.name, s.needs)
			continue
		}
		if err := s.measure(ctx, w, e, dir, rounds); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := writeSummary(dir, io.Discard); err != nil {
			return err
		}
	}
	return nil
}

// measure runs the section's rounds, each of which goes to the file as it is
// made: what an interrupted section has measured is not lost.
func (s section) measure(ctx context.Context, w io.Writer, e *environment, dir string, rounds int) error {
	f, err := os.Create(filepath.Join(dir, s.name+".txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeHeader(ctx, f); err != nil {
		return err
	}
	if s.rounds > 0 {
		rounds = min(rounds, s.rounds)
	}
	began := time.Now()
	for i := range rounds {
		fmt.Fprintf(w, "%s: round %d of %d (%v so far)\n", s.name, i+1, rounds, time.Since(began).Round(time.Second))
		if err := s.round(ctx, e, i, f); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%s: %v\n", s.name, time.Since(began).Round(time.Second))
	return f.Close()
}

// inOrder calls f for each candidate: forwards in even rounds, backwards in odd
// ones, so that none always runs in the wake of the same other.
func inOrder[T any](round int, candidates []T, f func(T) error) error {
	ordered := slices.Clone(candidates)
	if round%2 == 1 {
		slices.Reverse(ordered)
	}
	for _, c := range ordered {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}
