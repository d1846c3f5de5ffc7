package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// results are the figures of a whole run, as -json prints them.
type results struct {
	Command  string    `json:"command"`
	Date     time.Time `json:"date"`
	Go       string    `json:"go"`
	CPU      string    `json:"cpu"`
	Cores    string    `json:"cores"`
	Clients  int       `json:"clients"`
	Stalled  int       `json:"stalled_clients"`
	Slow     int       `json:"slow_clients"`
	SlowRate float64   `json:"slow_mb_per_second"`
	Entities int       `json:"entities"`
	Payload  string    `json:"payload"`
	Seconds  int       `json:"seconds"`
	EveryMS  float64   `json:"probe_every_ms"`
	Servers  []figures `json:"servers"`
}

// figures are those of one server.
type figures struct {
	Server string `json:"server"`
	// Error says why there are no figures, "" if there are.
	Error string `json:"error,omitempty"`

	ResponsesPerSecond float64 `json:"responses_per_second"`
	MBPerSecond        float64 `json:"mb_per_second"`
	Responses          int64   `json:"responses"`
	Shed               int64   `json:"shed"`
	Errors             int64   `json:"errors"`
	Broken             int64   `json:"broken"`
	Unfinished         int64   `json:"unfinished"`
	FirstError         string  `json:"first_error,omitempty"`
	ResponseP50MS      float64 `json:"response_p50_ms"`
	ResponseP99MS      float64 `json:"response_p99_ms"`
	SlowResponses      int64   `json:"slow_responses"`
	SlowShed           int64   `json:"slow_shed"`
	SlowMBPerSecond    float64 `json:"slow_clients_mb_per_second"`

	ProbesSent     int            `json:"probes_sent"`
	ProbesAnswered int            `json:"probes_answered"`
	ProbesFailed   int            `json:"probes_failed"`
	ProbeFailures  map[string]int `json:"probe_failures"`
	ProbeP50MS     float64        `json:"probe_p50_ms"`
	ProbeP99MS     float64        `json:"probe_p99_ms"`
	ProbeMaxMS     float64        `json:"probe_max_ms"`

	PeakBytes int64   `json:"peak_bytes"` // 0 where it is not known
	CPU       float64 `json:"cpu_cores"`  // used on average; 0 where it is not known
	Restarts  float64 `json:"restarts"`

	mode mode
}

func (o *options) results(all []measurement) results {
	res := results{
		Command: o.command, Date: time.Now().UTC().Truncate(time.Second), Go: runtime.Version(), CPU: cpuModel(), Cores: o.cores(),
		Clients: o.clients, Stalled: o.stalled, Slow: o.slow, SlowRate: o.slowRate,
		Entities: o.entities, Payload: o.payload, Seconds: o.seconds, EveryMS: ms(o.every),
	}
	for _, m := range all {
		res.Servers = append(res.Servers, m.figures(o.every))
	}
	return res
}

func (m measurement) figures(every time.Duration) figures {
	f := figures{mode: m.mode, Server: m.mode.name}
	if m.err != nil {
		f.Error = m.err.Error()
		return f
	}
	fast, slow, elapsed := m.load.Fast, m.load.Slow, m.load.Elapsed
	f.ResponsesPerSecond = fast.PerSecond(elapsed)
	f.MBPerSecond = fast.BytesPerSecond(elapsed) / 1e6
	f.Responses = fast.OK
	f.Shed = fast.Shed
	f.Errors = fast.Errors + slow.Errors
	f.Broken = fast.Broken + slow.Broken
	f.Unfinished = fast.Unfinished
	if m.load.FirstError != nil {
		f.FirstError = m.load.FirstError.Error()
	}
	f.ResponseP50MS = ms(fast.Latency.P50)
	f.ResponseP99MS = ms(fast.Latency.P99)
	f.SlowResponses = slow.OK
	f.SlowShed = slow.Shed
	f.SlowMBPerSecond = slow.BytesPerSecond(elapsed) / 1e6

	probes := flood.Summarize(m.probes)
	f.ProbesSent, f.ProbesAnswered, f.ProbesFailed = probes.Sent, probes.Answered, probes.Failed
	f.ProbeFailures = probes.Failures
	f.ProbeP50MS, f.ProbeP99MS, f.ProbeMaxMS = ms(probes.Latency.P50), ms(probes.Latency.P99), ms(probes.Latency.Max)
	if n := len(m.memory); n > 0 {
		f.PeakBytes = m.memory[n-1].Peak
	}
	f.CPU = m.cpu
	f.Restarts = flood.Restarts(m.probes, every)
	return f
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// verdict is an error if the run did not show what it is to show.
func (res results) verdict() error {
	var err error
	for _, f := range res.Servers {
		switch {
		case f.Error != "":
			err = errors.Join(err, fmt.Errorf("%s could not be measured", f.Server))
		case f.mode.ours() && f.ProbesFailed > 0:
			err = errors.Join(err, fmt.Errorf("%s failed %d of %d probes, and must fail none", f.Server, f.ProbesFailed, f.ProbesSent))
		case f.mode.ours() && f.Broken > 0:
			err = errors.Join(err, fmt.Errorf("%s sent %d broken bodies: %s", f.Server, f.Broken, f.FirstError))
		}
	}
	return err
}

func (res results) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(res)
}
