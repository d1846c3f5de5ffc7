package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/probe"
	probehttp "k8s.io/kubernetes/pkg/probe/http"
)

// Kubelet's defaults for a probe, and how often it repeats one that could not
// be made.
// https://kubernetes.io/docs/concepts/workloads/pods/probes/
const (
	kubeletPeriod    = 10 * time.Second
	kubeletTimeout   = time.Second
	failureThreshold = 3
	successThreshold = 1
	maxProbeRetries  = 3
)

// worker does to one probe of one container what kubelet's worker does, with
// kubelet's own prober, connections and requests. Its own part is what
// pkg/kubelet/prober/worker.go decides between a result and a restart; that
// file cannot be had without the pod, its status and a container runtime.
//
// Like kubelet's it is one goroutine: a probe that takes longer than a period
// delays the next.
type worker struct {
	prober  probehttp.Prober
	get     *v1.HTTPGetAction
	host    string
	period  time.Duration
	timeout time.Duration
	restart bool // what fails is restarted: a liveness probe

	failing bool // the last result
	inRow   int  // how often it has come
	healthy bool // what kubelet takes the container for
	since   time.Time
	seen    record
}

// record is what one worker has seen and done.
type record struct {
	probes, failed int
	restarts       int
	unhealthy      time.Duration  // how long the container was out of rotation
	reasons        map[string]int // of failures
}

func newWorker(addr, path string, period, timeout time.Duration, restart bool) (*worker, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	const followNonLocalRedirects = false // as kubelet has it
	return &worker{
		prober:  probehttp.New(followNonLocalRedirects),
		get:     &v1.HTTPGetAction{Path: path, Port: intstr.Parse(port)},
		host:    host,
		period:  period,
		timeout: timeout,
		restart: restart,
		healthy: true,
		seen:    record{reasons: map[string]int{}},
	}, nil
}

// run probes once per period, the first time after phase, until ctx ends. A
// probe that is under way then is finished and counts.
func (w *worker) run(ctx context.Context, phase time.Duration) (record, error) {
	select {
	case <-time.After(phase):
	case <-ctx.Done():
		return w.seen, nil
	}
	ticker := time.NewTicker(w.period)
	defer ticker.Stop()
	for ctx.Err() == nil {
		result, output, err := w.probe()
		if err != nil {
			return w.seen, err
		}
		w.take(result, output, time.Now())
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	if !w.healthy {
		w.seen.unhealthy += time.Since(w.since)
	}
	return w.seen, nil
}

// probe makes one probe, as runProbe and runProbeWithRetries do.
func (w *worker) probe() (probe.Result, string, error) {
	for i := 1; ; i++ {
		req, err := probehttp.NewRequestForHTTPGetAction(w.get, &v1.Container{}, w.host, "probe")
		if err != nil {
			return probe.Unknown, "", fmt.Errorf("the probe cannot be made: %w", err)
		}
		result, output, err := w.prober.Probe(req, w.timeout)
		if err == nil {
			return result, output, nil
		}
		if i == maxProbeRetries {
			return probe.Unknown, err.Error(), nil
		}
	}
}

// take draws the conclusions from a result, as doProbe does.
func (w *worker) take(result probe.Result, output string, now time.Time) {
	w.seen.probes++
	if result == probe.Unknown {
		// The prober has failed, not the probe: neither resets the count.
		w.seen.failed++
		w.seen.reasons["the answer broke off"]++
		return
	}
	failing := result == probe.Failure
	if failing {
		w.seen.failed++
		w.seen.reasons[reason(output)]++
	}
	if failing == w.failing {
		w.inRow++
	} else {
		w.failing, w.inRow = failing, 1
	}
	threshold := successThreshold
	if failing {
		threshold = failureThreshold
	}
	if w.inRow < threshold {
		return
	}
	switch {
	case w.restart && failing:
		w.seen.restarts++
		w.inRow = 0 // the next container is another one
	case w.healthy && failing:
		w.healthy, w.since = false, now
	case !w.healthy && !failing:
		w.healthy = true
		w.seen.unhealthy += now.Sub(w.since)
	}
}

// reason is a failure in few words; the prober's have addresses in them.
func reason(output string) string {
	switch {
	case strings.Contains(output, "Client.Timeout") || strings.Contains(output, "context deadline exceeded"):
		return "timeout"
	case strings.Contains(output, "connection refused"):
		return "connection refused"
	case strings.Contains(output, "connection reset"):
		return "connection reset"
	case strings.Contains(output, "EOF"):
		return "closed without an answer"
	}
	return strings.TrimPrefix(output, "HTTP probe failed with ")
}
