// Starvation shows what a flood of large JSON responses does to the liveness
// probes of a Gin service, and what one line changes about it.
//
//	go run ./examples/starvation
//
// It runs the same service three times, each as a child process on one core:
// as most are written (plain), with its encoding moved to a worker pool
// (offload), and with probelane's Run in place of Gin's (guarded). Each is
// flooded by keep-alive clients that ask for 18 MB of JSON and is probed as
// kubelet probes a container. At the end stand a table and a report with
// charts.
//
// One of the servers alone, for curl, ab or wrk:
//
//	go run ./examples/starvation -serve guarded -addr 127.0.0.1:8080
package main
