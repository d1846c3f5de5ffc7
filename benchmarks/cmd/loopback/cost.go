package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// costCases flood two servers, with and without a lane, at several rates of
// probes.
var costCases = []struct {
	name  string
	lane  bool
	every time.Duration // between two probes; 0 for none
}{
	{"none", false, 0},
	{"none-lane", true, 0},
	{"1-per-second", true, time.Second},
	{"50-per-second", true, 20 * time.Millisecond},
}

// costTurns is how often each case has its turn, forwards and backwards by turns:
// a machine that becomes slower in the course of it does so for all.
const costTurns = 16

// costs reports how many responses a second each case leaves to the load. The two
// servers stand ready all the time, and each turn lasts as long as the load does:
// of what differs between two processes, or two minutes, probes cost a fraction.
func costs(ctx context.Context, load flood.Load, laneless string, warm time.Duration, name string, w io.Writer) error {
	type figures struct {
		bytes   int64
		elapsed time.Duration
		probes  []flood.Probe
	}
	got := make([]figures, len(costCases))
	order := make([]int, len(costCases))
	for i := range order {
		order[i] = i
	}
	turn := func(i int) error {
		c, load := costCases[i], load
		if !c.lane {
			load.Addr = laneless
		}
		warming := load
		warming.Duration = warm
		if _, err := warming.Run(ctx); err != nil {
			return err
		}
		var probes []flood.Probe
		var failed error
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c.every > 0 {
				probes, failed = flood.Prober{Addr: load.Addr, Every: c.every, Duration: load.Duration}.Run(ctx)
			}
		}()
		res, err := load.Run(ctx)
		<-done
		for _, err := range []error{err, res.FirstError, failed} {
			if err != nil {
				return err
			}
		}
		got[i].bytes += res.Fast.Bytes
		got[i].elapsed += res.Elapsed
		got[i].probes = append(got[i].probes, probes...)
		return nil
	}
	for range costTurns {
		for _, i := range order {
			if err := turn(i); err != nil {
				return err
			}
		}
		slices.Reverse(order)
	}
	for i, f := range got {
		// What is under way at the end of a turn counts, too.
		rate := float64(f.bytes) / float64(load.Body.Size) / f.elapsed.Seconds()
		s := flood.Summarize(f.probes)
		_, err := fmt.Fprintf(w, "Benchmark%s/%s 1 %.4g responses/s %d probes %d failed\n", name, costCases[i].name, rate, s.Sent, s.Failed)
		if err != nil {
			return err
		}
	}
	return nil
}
