// Package benchmarks measures probelane beside its peers. It has a module of
// its own, so that no peer ever appears in a user's go.sum.
//
//	go test -run '^$' -bench . ./benchmarks/...
//
// BenchmarkEncode and BenchmarkEncodeParallel encode the same values by every
// JSON encoder, checking what comes out while they do. BenchmarkStopTheWorld
// encodes 18 MB over and over while the world is stopped again and again, and
// reports how long the world took to stop. BenchmarkProbes starts the servers
// of examples/starvation, floods them, and reports what became of the probes.
//
// results.sh makes every published figure with the server and its load on
// cores of their own; RESULTS.md says how.
package benchmarks
