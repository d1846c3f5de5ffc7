// Package probe answers the health probes of an HTTP service from what
// background checks last found. A probe never runs a check, so no probe is
// slow because a dependency is, and no prober can load one:
//
//	probes, err := probe.New(probe.WithReadiness("database", db.PingContext))
//	probes.Start()
//	defer probes.Close(ctx)
//	http.ListenAndServe(":8080", probes.Wrap(mux))
//
// /livez says whether to restart this process: 200 for as long as a handler
// gets to run, unless a liveness check fails. /readyz says whether to send
// traffic: 503 while a readiness check fails, while a startup check has yet to
// pass, and while draining. /startupz has the startup checks alone, /healthz
// everything at once. "?verbose" lists the checks in kube-apiserver's format.
//
// Each check has an interval, a hard timeout, at most one run at a time and a
// limit to the age of its result. A check that hangs is given up on, reported
// as failing and not run beside itself; a panic or runtime.Goexit in it is a
// failure like any other. Readiness and startup checks fail until their first
// result; liveness checks pass until then, lest a start look like a death.
//
// On Linux, Registry.Lane gives the probes of new connections a thread of their
// own, which answers them whatever the scheduler is busy with:
//
//	lane, err := probes.Lane(listener)
//	server.Serve(lane)
//
// The answers are byte slices made whenever something changes. The handler
// picks one with an atomic load and a look at the clock: 61 ns, 0 allocations.
// A request that is no probe costs 2 to 5 ns to tell apart (go test -bench .
// ./probe/, Go 1.26.8, 2-core Intel Xeon VM).
package probe
