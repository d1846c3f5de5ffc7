package flood

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Prober probes a server as kubelet probes a container: each probe on a TCP
// connection of its own, with kubelet's headers, its time limit over all of
// connecting, asking and reading, and its idea of success (200 to 399).
//
// It is an open loop: a probe starts every Every whether or not earlier ones
// have been answered. A prober that waited for its answers would probe a stuck
// server once and call that one failure.
//
// Nothing else should run in its process, least of all the flood: a probe is timed
// by a goroutine, which waits for others as it would for the server.
type Prober struct {
	// Addr is the server's host:port.
	Addr string
	// Path is the probe's path. "" means /livez.
	Path string
	// Every is the time between the starts of two probes. 0 means 20 ms.
	Every time.Duration
	// Timeout is the limit of one probe. 0 means kubelet's default of 1 s. At most
	// 1000 probes may have to wait at once.
	Timeout time.Duration
	// Duration is how long new probes start; those under way at its end are
	// awaited. It must be positive.
	Duration time.Duration
	// Each, if set, is told of every probe when it has ended, one at a time.
	Each func(Probe)
}

// waitingMost is how many probes may wait at once: on Linux each keeps a thread.
const waitingMost = 1000

// Probe is one probe and what became of it.
type Probe struct {
	// Due and At are when the probe was to start and when it did, counted from
	// the start of Run. They differ where the prober itself did not get its turn.
	Due, At time.Duration
	// Latency is the time from its start to the end of its answer, or to its
	// failure.
	Latency time.Duration
	// Status is the status of the answer, 0 without one.
	Status int
	// Failure says why the probe failed: "timeout", "connection refused",
	// "connection reset", "closed without an answer", "status 503", or the
	// error's own text. "" is success.
	Failure string
}

// OK reports whether kubelet would call the probe a success.
func (p Probe) OK() bool { return p.Failure == "" }

// Run probes until Duration has passed or ctx ends and returns the probes in
// the order of their starts. Probes that ctx cut off are left out.
func (p Prober) Run(ctx context.Context) ([]Probe, error) {
	if p.Duration <= 0 {
		return nil, errors.New("flood: Prober.Duration must be positive")
	}
	if p.Addr == "" {
		return nil, errors.New("flood: Prober needs Addr")
	}
	if p.Path == "" {
		p.Path = "/livez"
	}
	if p.Every <= 0 {
		p.Every = 20 * time.Millisecond
	}
	if p.Timeout <= 0 {
		p.Timeout = time.Second
	}
	if p.Timeout/p.Every > waitingMost {
		return nil, fmt.Errorf("flood: with a timeout of %v and a probe every %v more than %d may wait at once", p.Timeout, p.Every, waitingMost)
	}
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex // guards probes, cut, and calls of Each
		probes = make([]Probe, 0, p.Duration/p.Every+1)
		cut    = map[int]bool{}
	)
	start := time.Now()
	for due := time.Duration(0); due < p.Duration; due += p.Every {
		pause(ctx, due-time.Since(start))
		if over(ctx) {
			break
		}
		mu.Lock()
		i := len(probes)
		probes = append(probes, Probe{})
		mu.Unlock()
		wg.Go(func() {
			began := time.Now()
			status, err := p.probe(ctx)
			probe := Probe{
				Due: due, At: began.Sub(start), Latency: time.Since(began),
				Status: status, Failure: failure(status, err),
			}
			if probe.OK() && probe.Latency > p.Timeout {
				// The answer and the limit came together, and the prober saw the
				// answer first. Kubelet's clock is no kinder than ours.
				probe.Failure = "timeout"
			}
			mu.Lock()
			defer mu.Unlock()
			probes[i] = probe
			cut[i] = !probe.OK() && over(ctx)
			if p.Each != nil && !cut[i] {
				p.Each(probe)
			}
		})
	}
	wg.Wait()
	kept := probes[:0]
	for i, probe := range probes {
		if !cut[i] {
			kept = append(kept, probe)
		}
	}
	return kept, nil
}

// probe makes one probe and returns the status of its answer.
func (p Prober) probe(ctx context.Context) (int, error) {
	conn, err := connect(ctx, p.Addr, time.Now().Add(p.Timeout))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	// These are the headers of kubelet 1.36, in net/http's order.
	_, err = io.WriteString(conn, "GET "+p.Path+" HTTP/1.1\r\nHost: "+p.Addr+
		"\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	if err != nil {
		return 0, err
	}
	resp, err := newResponseReader(conn, 4<<10).read()
	return resp.status, err
}

// failure names the reason of a failed probe in few words, "" for success.
func failure(status int, err error) string {
	switch {
	case err == nil && status >= 200 && status < 400:
		return ""
	case err == nil:
		return fmt.Sprintf("status %d", status)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed without an answer"
	default:
		return err.Error()
	}
}

// ProbeSummary counts probes.
type ProbeSummary struct {
	Sent, Answered, Failed int
	// Latency is that of the answered ones.
	Latency Quantiles
	// Failures counts the failed ones by reason.
	Failures map[string]int
}

// Summarize counts probes.
func Summarize(probes []Probe) ProbeSummary {
	s := ProbeSummary{Sent: len(probes), Failures: map[string]int{}}
	var latencies []time.Duration
	for _, p := range probes {
		if p.OK() {
			s.Answered++
			latencies = append(latencies, p.Latency)
		} else {
			s.Failed++
			s.Failures[p.Failure]++
		}
	}
	s.Latency = QuantilesOf(latencies)
	return s
}
