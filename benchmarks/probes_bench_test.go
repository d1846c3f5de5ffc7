package benchmarks

import (
	"flag"
	"fmt"
	"testing"

	"github.com/probelane/probelane/benchmarks/internal/starve"
)

var floodSeconds = flag.Int("flood.seconds", 5, "`seconds` that BenchmarkProbes floods each server")

// BenchmarkProbes floods each server of examples/starvation with 64 clients
// that ask for 40,000 entities, built for every request, and reports what the
// probes met with: one server at a time, alone on a core, with the load and the
// prober on another. The time of an operation is that of the whole
// measurement and means nothing.
func BenchmarkProbes(b *testing.B) {
	bin, err := starve.Build(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	const clients = 64
	for _, server := range starve.Servers {
		b.Run(fmt.Sprintf("%s/built/%dclients", server, clients), func(b *testing.B) {
			var f starve.Figures
			for b.Loop() {
				if f, err = starve.Run(b.Context(), bin, starve.Case{
					Server: server, Payload: "built", Clients: clients, Seconds: *floodSeconds,
				}); err != nil {
					b.Fatal(err)
				}
				if f.Errors+f.Broken > 0 && server != "plain" && server != "offload" {
					b.Errorf("%d errors and %d broken bodies", f.Errors, f.Broken)
				}
			}
			for _, m := range f.Metrics() {
				b.ReportMetric(m.Value, m.Unit)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
