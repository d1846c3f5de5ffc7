// Package flood is the flood of the examples and the instruments that watch
// it: a workload, a load generator, a prober that behaves as kubelet does, a
// memory sampler, and a way to run the server under test as a child process
// on a core of its own.
//
// A measurement is put together from these parts:
//
//	srv, err := flood.Start(ctx, flood.Process{Path: bin, Args: args, Addr: addr, Core: 0, Procs: 1})
//	defer srv.Stop()
//
//	body, err := flood.Verify(ctx, addr, "/clients") // one response, looked at in full
//	mem := flood.WatchMemory(srv.PID(), 100*time.Millisecond)
//
//	go prober.Run(ctx)        // a new connection every 20 ms, 1 s limit; better from another process
//	res, err := load.Run(ctx) // closed loop over kept connections
//
// The load generator usually has one core to itself while the server has
// another, so it must cost far less per byte than the server does. It reads
// HTTP/1.1 by hand, skips bodies in large pieces without looking at them, and
// checks of each body its length, its first bytes and its last; Verify looks
// at one of them in full beforehand. On a static 18.4 MB body it takes in more
// than 3 GB/s.
//
// Everything ends by itself: a Load and a Prober carry their duration, and end
// early when their context does.
package flood
