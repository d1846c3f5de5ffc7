package starve

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestCommandIsWhatAReaderTypes(t *testing.T) {
	for _, c := range []struct {
		name string
		c    Case
		want string
	}{
		{"one server", Case{Server: "plain", Payload: "built", Clients: 64, Seconds: 5},
			`go run ./examples/starvation -servers plain -payload built -c 64 -seconds 5 -json -report ""`},
		{"on both cores", Case{Server: "stream", Payload: "shared", Clients: 8, Seconds: 1, Procs: 2},
			`go run ./examples/starvation -servers stream -payload shared -c 8 -seconds 1 -procs 2 -json -report ""`},
		{"with little memory", Case{Server: "lane", Payload: "built", Clients: 256, Seconds: 300, Memory: "16GiB"},
			`GOMEMLIMIT=16GiB go run ./examples/starvation -servers lane -payload built -c 256 -seconds 300 -json -report ""`},
		{"beside slow readers", Case{Server: "stream", Payload: "built", Clients: 16, Slow: 100, Stalled: 20, Seconds: 1},
			`go run ./examples/starvation -servers stream -payload built -c 16 -seconds 1 -slow 100 -stalled 20 -json -report ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.c.Command(); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, out, err string
	}{
		{"one server", `{"servers":[{"server":"plain"}]}`, ""},
		{"a server that could not be measured", `{"servers":[{"server":"plain","error":"port taken"}]}`, "port taken"},
		{"nothing", "", "no results"},
		{"another number of servers", `{"servers":[{},{}]}`, "2 servers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse([]byte(c.out))
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error %v, want one with %q", err, c.err)
			}
		})
	}
}

// The example and this package have to agree on flags and names; only running
// the one by the other shows that they do.
func TestRunTheExample(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs the example")
	}
	bin, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range append(Servers, LaneServers...) {
		t.Run(server, func(t *testing.T) {
			f, err := Run(t.Context(), bin, Case{
				Server: server, Payload: "built", Clients: 2, Slow: 1, Stalled: 1, Seconds: 1, Entities: 10,
			})
			if err != nil {
				t.Fatal(err)
			}
			if f.Server != server || f.ResponsesPerSecond == 0 || f.MBPerSecond == 0 || f.ProbesSent == 0 || f.ProbeP50MS == 0 || f.Errors > 0 {
				t.Errorf("a flood of small responses came to %+v", f)
			}
			units := make([]string, 0, 10)
			for _, m := range f.Metrics() {
				units = append(units, m.Unit)
			}
			if !slices.Contains(units, "responses/s") || !slices.Contains(units, "p99-ms") {
				t.Errorf("metrics %v", units)
			}
		})
	}
}

func TestRunTellsWhatTheExampleSaid(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the example")
	}
	bin, err := Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), bin, Case{Server: "imaginary", Payload: "built", Seconds: 1})
	if err == nil || !strings.Contains(err.Error(), "imaginary") {
		t.Errorf("error %v, want one that names the server", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, bin, Case{Server: "plain", Payload: "built", Seconds: 1}); err != context.Canceled {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
