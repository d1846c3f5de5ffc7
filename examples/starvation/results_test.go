package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/probelane/probelane/examples/flood"
)

// measured makes a measurement of 2 s with 100 probes of which the first so
// many failed.
func measured(name string, failed int) measurement {
	m, err := modeNamed(name)
	if err != nil {
		panic(err)
	}
	got := measurement{mode: m}
	for i := range 100 {
		due := time.Duration(i) * 20 * time.Millisecond
		p := flood.Probe{Due: due, At: due, Latency: time.Duration(i+1) * time.Millisecond, Status: 200}
		if i < failed {
			p = flood.Probe{Due: due, At: due, Latency: time.Second, Failure: "timeout"}
		}
		got.probes = append(got.probes, p)
	}
	got.load = flood.Result{
		Elapsed: 2 * time.Second, Interval: 250 * time.Millisecond,
		Fast: flood.Tally{OK: 20, Shed: 3, Bytes: 400e6},
	}
	for range 12 { // 3 s: the load goes on a little
		got.load.Series = append(got.load.Series, flood.Slot{OK: 2})
	}
	got.memory = []flood.Memory{
		{At: 0, RSS: 100e6, Peak: 100e6}, {At: time.Second, RSS: 3e9, Peak: 3.5e9}, {At: 3 * time.Second, RSS: 9e9, Peak: 9e9},
	}
	return got
}

func testOptions() *options {
	return &options{clients: 64, entities: 40_000, seconds: 2, every: 20 * time.Millisecond, payload: "built", procs: 1, serverCore: -1, command: "go run ./examples/starvation"}
}

func TestFigures(t *testing.T) {
	f := measured("plain", 40).figures(20 * time.Millisecond)
	if f.ResponsesPerSecond != 10 || f.MBPerSecond != 200 || f.Shed != 3 {
		t.Errorf("load %+v", f)
	}
	if f.ProbesSent != 100 || f.ProbesAnswered != 60 || f.ProbesFailed != 40 || f.ProbeFailures["timeout"] != 40 {
		t.Errorf("probes %+v", f)
	}
	if f.ProbeP50MS != 70 || f.ProbeP99MS != 100 || f.ProbeMaxMS != 100 {
		t.Errorf("latencies %v %v %v, want those of the 60 answered: 70 100 100", f.ProbeP50MS, f.ProbeP99MS, f.ProbeMaxMS)
	}
	if f.PeakBytes != 9e9 {
		t.Errorf("peak %d, want the last reading's", f.PeakBytes)
	}
}

func TestVerdict(t *testing.T) {
	broken := measured("stream", 0)
	broken.load.Fast.Broken = 1
	broken.load.FirstError = errors.New("body cut after 3 bytes")
	for _, tc := range []struct {
		name string
		all  []measurement
		want string
	}{
		{"starving is what plain and offload are for", []measurement{measured("plain", 100), measured("offload", 1)}, ""},
		{"guarded answers all", []measurement{measured("plain", 100), measured("guarded", 0)}, ""},
		{"guarded fails one", []measurement{measured("guarded", 1)}, "guarded failed 1 of 100 probes"},
		{"stream fails one", []measurement{measured("stream", 1)}, "stream failed 1 of 100 probes"},
		{"a broken body", []measurement{broken}, "body cut after 3 bytes"},
		{"one could not be measured", []measurement{{mode: modes[0], err: errors.New("busy")}}, "plain could not be measured"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := testOptions().results(tc.all).verdict()
			if (tc.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTableFitsInto80Columns(t *testing.T) {
	o := testOptions()
	o.slow = 100
	worst := measured("plain", 100)
	worst.load.Fast = flood.Tally{OK: 1e9, Shed: 1e11, Errors: 1e11, Broken: 1e11, Bytes: 1e14}
	all := []measurement{worst, measured("offload", 40), measured("guarded", 0), {mode: modes[3], err: errors.New("killed")}}
	table := o.results(all).table()
	for line := range strings.Lines(table) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, want := range []string{"responses/s", "MB/s", "shed with 503", "probes answered", "probes failed", "p50", "p99", "max", "peak memory", "restarts", "stream could not be measured: killed"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}

func TestTableSaysNothingWhereNothingIsKnown(t *testing.T) {
	m := measured("plain", 100)
	m.memory = nil
	table := testOptions().results([]measurement{m}).table()
	for _, row := range []string{"probe p50", "probe p99", "probe max", "peak memory", "server's CPU"} {
		_, rest, _ := strings.Cut(table, row)
		cell, _, _ := strings.Cut(rest, "\n")
		if strings.TrimSpace(cell) != none {
			t.Errorf("%s is %q, want %q", row, cell, none)
		}
	}
}

func TestJSONHoldsEveryServer(t *testing.T) {
	var b bytes.Buffer
	res := testOptions().results([]measurement{measured("plain", 3), {mode: modes[1], err: errors.New("killed")}})
	if err := res.writeJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got results
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Servers) != 2 || got.Servers[0].ProbesFailed != 3 || got.Servers[1].Error != "killed" {
		t.Errorf("got %+v", got.Servers)
	}
}

func TestSaying(t *testing.T) {
	for got, want := range map[string]string{
		sayMS(0.3456): "0.35 ms", sayMS(12.34): "12.3 ms", sayMS(987.6): "988 ms",
		sayBytes(0): none, sayBytes(53e6): "53 MB", sayBytes(3.214e9): "3.21 GB",
		sayCount(7): "7", sayCount(999): "999", sayCount(40_000): "40,000", sayCount(1_000_000): "1,000,000",
		percent(0, 0): none, percent(600, 600): "100 %", percent(0, 600): "0 %",
		percent(9999, 10_000): "99.9 %", percent(1, 100_000): "0.1 %",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
