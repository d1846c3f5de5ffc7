package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// probeApart probes a server from a process of its own, as kubelet is one. In
// this one a probe would wait for the goroutines of the flood, up to 60 ms, and
// that would be taken for the server's.
func (o *options) probeApart(ctx context.Context, self, addr string, each func(flood.Probe)) ([]flood.Probe, error) {
	cmd := exec.CommandContext(ctx, self, "-probe", "-addr", addr, "-every", o.every.String(), "-seconds", strconv.Itoa(o.seconds))
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := flood.StartChild(cmd, o.loadCore); err != nil {
		return nil, fmt.Errorf("cannot start the prober: %w", err)
	}
	var probes []flood.Probe
	lines := json.NewDecoder(out)
	for err == nil {
		var p flood.Probe
		if err = lines.Decode(&p); err == nil {
			probes = append(probes, p)
			each(p)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("the prober: %w; it wrote: %.2000q", err, told.String())
	}
	slices.SortFunc(probes, func(a, b flood.Probe) int { return cmp.Compare(a.Due, b.Due) })
	return probes, nil
}

// probeAlone is what that process does. It prints each probe when it has ended, as
// long as there is somebody to read it.
func (o *options) probeAlone(ctx context.Context, w io.Writer) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	lines := json.NewEncoder(w)
	_, err := flood.Prober{
		Addr: o.addr, Every: o.every, Timeout: probeTimeout, Duration: time.Duration(o.seconds) * time.Second,
		Each: func(p flood.Probe) {
			if err := lines.Encode(p); err != nil {
				end(err)
			}
		},
	}.Run(ctx)
	return errors.Join(err, context.Cause(ctx))
}
