// Kubelet probes the servers of examples/starvation with kubelet's own prober,
// k8s.io/kubernetes/pkg/probe/http, while they are flooded, and reports how
// often it would have restarted each and for how long it would have taken it out
// of rotation.
//
//	cd benchmarks/kubelet
//	GOWORK=off go run .
//	GOWORK=off go run . -c 256 -seconds 60
//	GOWORK=off go run . -scale 1 -seconds 300      # nothing scaled
//
// It is a module of its own, outside of go.work, so that nobody who runs the
// commands of the README downloads Kubernetes.
//
// Kubelet probes every 10 s. Here it does so -scale times as often, so that a
// short flood has as many periods as a long one; thresholds are counts and stay,
// and so does the limit of one second, for the latency of a server does not
// scale. As it is chance when in its period a kubelet probes, there are several,
// each for itself, spread over the period.
package main
