package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// probeApart probes a server from a process of its own, as kubelet is one. In
// this one a probe would wait for the goroutines of the flood, half a millisecond
// as often as not, and that would be taken for the server's.
func (o *options) probeApart(ctx context.Context, self, addr string, each func(flood.Probe)) ([]flood.Probe, error) {
	cmd := exec.CommandContext(ctx, self, "-probe", "-addr", addr, "-every", o.every.String(), "-seconds", strconv.Itoa(o.seconds))
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
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
		return nil, fmt.Errorf("the prober: %w: %s", err, strings.TrimSpace(told.String()))
	}
	slices.SortFunc(probes, func(a, b flood.Probe) int { return int(a.Due - b.Due) })
	return probes, nil
}

// probeAlone is what that process does. It prints each probe when it has ended. A
// Ctrl-C is meant for the one that has started it, whose end ends it, too: there
// is nobody to print to.
func (o *options) probeAlone(w io.Writer) error {
	signal.Ignore(os.Interrupt)
	var failed error
	lines := json.NewEncoder(w)
	_, err := flood.Prober{
		Addr: o.addr, Every: o.every, Timeout: probeTimeout, Duration: time.Duration(o.seconds) * time.Second,
		Each: func(p flood.Probe) { failed = errors.Join(failed, lines.Encode(p)) },
	}.Run(context.Background())
	return errors.Join(err, failed)
}
