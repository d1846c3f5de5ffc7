package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// measurement is what one server did.
type measurement struct {
	mode   mode
	load   flood.Result
	probes []flood.Probe
	memory []flood.Memory
	cpu    float64 // cores the server used during the flood; 0 where not known
	err    error   // why it could not be measured; the rest is zero then
}

// probeTimeout is kubelet's default.
const probeTimeout = time.Second

// measure runs one server as a child, floods it and probes it.
func (o *options) measure(ctx context.Context, m mode, con *console) measurement {
	failed := func(err error) measurement { return measurement{mode: m, err: err} }

	addr := o.addr
	if addr == "" {
		free, err := flood.FreeAddr()
		if err != nil {
			return failed(err)
		}
		addr = free
	}
	self, err := os.Executable()
	if err != nil {
		return failed(err)
	}
	srv, err := flood.Start(ctx, flood.Process{
		Path:  self,
		Args:  []string{"-serve", m.name, "-addr", addr, "-entities", strconv.Itoa(o.entities), "-payload", o.payload},
		Addr:  addr,
		Procs: o.procs,
		Core:  o.serverCore,
	})
	if err != nil {
		return failed(err)
	}
	defer srv.Stop()
	con.printf("\n%s: %s (%s), process %d on %s\n", m.name, m.title, m.how, srv.PID(), addr)

	// A server that dies ends the measurement, with what it said last.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		<-srv.Exited()
		cancel(srv.Err())
	}()

	// The first response is looked at in full. It also warms the server up.
	body, err := flood.Verify(ctx, addr, "/clients", o.entities)
	if err != nil {
		if died := died(ctx, srv); died != nil {
			err = died
		}
		return failed(err)
	}

	runtime.GC() // what Verify left, now rather than amid the flood

	duration := time.Duration(o.seconds) * time.Second
	con.begin(duration)
	columns := newColumns(o.every, con)
	memory := flood.WatchMemory(srv.PID(), 0)

	// The flood lasts until the last probe has its answer, or the last probes
	// would find a server that nobody floods any more.
	loadCtx, endLoad := context.WithCancel(ctx)
	defer endLoad()
	var load flood.Result
	var loadErr error
	loaded := make(chan struct{})
	started, used := time.Now(), cpuTime(srv)
	go func() {
		defer close(loaded)
		load, loadErr = flood.Load{
			Addr: addr, Path: "/clients", Body: body, Duration: duration + time.Minute,
			Clients: o.clients, Stalled: o.stalled, Slow: o.slow, SlowRate: int(o.slowRate * 1e6),
		}.Run(loadCtx)
	}()
	probes, err := o.probeApart(ctx, self, addr, columns.add)
	cpu := (cpuTime(srv) - used).Seconds() / time.Since(started).Seconds()
	endLoad()
	<-loaded
	columns.flush()
	got := measurement{mode: m, load: load, probes: probes, memory: memory.Stop(), cpu: cpu}
	for _, e := range []error{died(ctx, srv), err, loadErr} {
		if e != nil {
			return failed(e)
		}
	}
	return got
}

// died tells how the server ended, if it did while it was measured.
func died(ctx context.Context, srv *flood.Server) error {
	if ctx.Err() == nil {
		return nil
	}
	return srv.Err()
}

// cpuTime is 0 where it is not known.
func cpuTime(srv *flood.Server) time.Duration {
	used, err := flood.CPUTime(srv.PID())
	if err != nil {
		return 0
	}
	return used
}
