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
// everything at once. They speak as kube-apiserver does: "?verbose" lists the
// checks, "?exclude=NAME" leaves one out, /readyz/NAME is about one alone, and
// the reason of a failure is withheld, unless [WithReasons] tells it. A client
// that prefers JSON gets application/health+json, the Internet-Draft's format
// (draft-inadarei-api-health-check-06), or the same as application/json. See
// [Registry.ServeHTTP].
//
// Each check has an interval, a hard timeout, at most one run at a time and a
// limit to the age of its result. A check that hangs is given up on, reported
// as failing and not run beside itself; a panic or runtime.Goexit in it is a
// failure like any other. Readiness and startup checks fail until their first
// result; liveness checks pass until then, lest a start look like a death.
//
// A check may also be degraded: [Degraded] marks a warning that fails nothing.
// [Ping], [TCP], [HTTP], [DNS], [File] and [Goroutines] are checks ready made.
// [Registry.Add] and [Registry.Remove] change the checks while they are served,
// and [WithChangeHook] tells of what becomes of them.
//
// [Registry.Heartbeat] watches a loop of the service's. There is no watchdog of
// the scheduler besides, because behind a handler it could prove nothing: a
// goroutine that looks whether goroutines run asks what the handler answers by
// running. A process in which none can run answers no probe at all, and that is
// the failure that its prober sees; one that is short of processor time answers
// late, and is not to be restarted for it.
//
// On Linux, Registry.Lane gives the probes of new connections a thread of their
// own, which answers them whatever the scheduler is busy with:
//
//	lane, err := probes.Lane(listener)
//	server.Serve(lane)
//
// The answers are byte slices made whenever something changes. The handler
// picks one with an atomic load and a look at the clock: 57 to 102 ns and no
// allocation. A request that is no probe costs 2 to 5 ns to tell apart. Only an
// answer to "?exclude", or JSON about one check, is made for its request, and
// bounded: a query has at most 2 KiB, of which the costliest takes 21 µs (go
// test -bench . ./probe/, best of four, Go 1.26.8, 2-core VM).
package probe
