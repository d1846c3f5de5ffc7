package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// outcome is what the kubelets have seen of one server, all of them together.
type outcome struct {
	Server             string         `json:"server"`
	Probes             int            `json:"probes"`
	Failed             int            `json:"failed"`
	Reasons            map[string]int `json:"reasons"`
	Restarts           float64        `json:"restarts"` // mean of the kubelets
	RestartsLeast      int            `json:"restarts_least"`
	RestartsMost       int            `json:"restarts_most"`
	OutOfRotation      float64        `json:"out_of_rotation"` // share of the time
	ResponsesPerSecond float64        `json:"responses_per_second"`
}

// probed is what both probes ask for: the only path for probes that all servers
// of the example have.
const probed = "/livez"

// build builds examples/starvation, which has the servers, into dir.
func build(ctx context.Context, dir string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/probelane/probelane/examples")
	examples, err := list.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("run this in benchmarks/kubelet, with GOWORK=off: %w", err)
	}
	bin := filepath.Join(dir, "starvation")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, "./starvation")
	cmd.Dir = strings.TrimSpace(string(examples))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building examples/starvation: %w\n%s", err, out)
	}
	return bin, nil
}

// measure floods one server and lets the kubelets probe it.
func (o *options) measure(ctx context.Context, bin, server string) (outcome, error) {
	// The server runs as long as this call does, and this call as long as it.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	addr, err := flood.FreeAddr()
	if err != nil {
		return outcome{}, err
	}
	srv, err := flood.Start(ctx, flood.Process{
		Path:  bin,
		Args:  []string{"-serve", server, "-addr", addr, "-entities", strconv.Itoa(o.entities), "-payload", o.payload},
		Addr:  addr,
		Procs: 1,
		Core:  o.core,
	})
	if err != nil {
		return outcome{}, err
	}
	defer srv.Stop()
	go func() {
		<-srv.Exited()
		cancel(srv.Err())
	}()
	body, err := flood.Verify(ctx, addr, "/clients", o.entities)
	if err != nil {
		return outcome{}, err
	}

	// The flood outlasts the last probe, which may take until its limit.
	duration := time.Duration(o.seconds) * time.Second
	flooding, endFlood := context.WithCancel(ctx)
	defer endFlood()
	var load flood.Result
	var loadErr error
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		load, loadErr = flood.Load{
			Addr: addr, Path: "/clients", Body: body, Clients: o.clients,
			Duration: duration + maxProbeRetries*o.timeout + time.Second,
		}.Run(flooding)
	}()
	got, err := o.kubeletsAt(ctx, addr, duration)
	endFlood()
	<-flooded
	if ctx.Err() != nil {
		return outcome{}, context.Cause(ctx)
	}
	got.Server = server
	got.ResponsesPerSecond = load.Fast.PerSecond(load.Elapsed)
	return got, errors.Join(err, loadErr)
}

// kubeletsAt has all kubelets probe a server for some time.
func (o *options) kubeletsAt(ctx context.Context, addr string, duration time.Duration) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	live, ready := make([]record, o.kubelets), make([]record, o.kubelets)
	errs := make([]error, 2*o.kubelets)
	var wg sync.WaitGroup
	start := func(into *record, failed *error, phase time.Duration, restart bool) {
		w, err := newWorker(addr, probed, o.period(), o.timeout, restart)
		if err != nil {
			*failed = err
			return
		}
		wg.Go(func() { *into, *failed = w.run(ctx, phase) })
	}
	for i := range o.kubelets {
		// Half a step between the two probes of a kubelet, a step to the next.
		step := o.period() / time.Duration(o.kubelets)
		phase := step * time.Duration(i)
		start(&live[i], &errs[2*i], phase, true)
		start(&ready[i], &errs[2*i+1], phase+step/2, false)
	}
	wg.Wait()
	return summary(live, ready, duration), errors.Join(errs...)
}

func summary(live, ready []record, duration time.Duration) outcome {
	got := outcome{Reasons: map[string]int{}, RestartsLeast: live[0].restarts}
	for _, r := range slices.Concat(live, ready) {
		got.Probes += r.probes
		got.Failed += r.failed
		for reason, n := range r.reasons {
			got.Reasons[reason] += n
		}
	}
	for _, r := range live {
		got.Restarts += float64(r.restarts) / float64(len(live))
		got.RestartsLeast = min(got.RestartsLeast, r.restarts)
		got.RestartsMost = max(got.RestartsMost, r.restarts)
	}
	for _, r := range ready {
		got.OutOfRotation += min(r.unhealthy.Seconds()/duration.Seconds(), 1) / float64(len(ready))
	}
	return got
}
