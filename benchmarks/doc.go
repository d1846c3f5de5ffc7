// Package benchmarks measures probelane beside its peers. It has a module of
// its own, so that no peer ever appears in a user's go.sum.
//
//	go test -run '^$' -bench . ./benchmarks/...
//
// BenchmarkEncode and BenchmarkEncodeParallel encode the same values by every
// JSON encoder, checking what comes out while they do. BenchmarkQuantum,
// BenchmarkWakeup and BenchmarkStopTheWorld look at what an encode does to
// others: how long they wait for a turn, by how much they wake up too late, and
// how long the world takes to stop. BenchmarkFairness looks at a small response
// beside large ones, BenchmarkFirst at the first of a process.
// BenchmarkProbes starts the servers of examples/starvation, floods them, and
// reports what became of the probes.
//
// results.sh makes every published figure with the server and its load on
// cores of their own; RESULTS.md says how.
package benchmarks
