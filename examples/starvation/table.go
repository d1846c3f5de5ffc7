package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/probelane/probelane/examples/flood"
)

// row is one line of the table: a name and how to say it for one server.
type row struct {
	name string
	cell func(f figures) string
}

// rows are the lines of the table, the same in the terminal and in the report.
func (res results) rows() []row {
	rows := []row{
		{"responses/s", func(f figures) string { return fmt.Sprintf("%.1f", f.ResponsesPerSecond) }},
		{"MB/s", func(f figures) string { return fmt.Sprintf("%.0f", f.MBPerSecond) }},
		{"shed with 503", func(f figures) string { return fmt.Sprint(f.Shed) }},
	}
	if res.any(func(f figures) bool { return f.Errors+f.Broken > 0 }) {
		rows = append(rows,
			row{"failed requests", func(f figures) string { return fmt.Sprint(f.Errors) }},
			row{"broken bodies", func(f figures) string { return fmt.Sprint(f.Broken) }})
	}
	if res.Slow > 0 {
		rows = append(rows, row{"MB/s, slow clients", func(f figures) string { return fmt.Sprintf("%.1f", f.SlowMBPerSecond) }})
	}
	latency := func(ms func(f figures) float64) func(f figures) string {
		return func(f figures) string {
			if f.ProbesAnswered == 0 {
				return none
			}
			return sayMS(ms(f))
		}
	}
	return append(rows,
		row{"probes answered", func(f figures) string { return fmt.Sprint(f.ProbesAnswered) }},
		row{"probes failed", func(f figures) string { return fmt.Sprint(f.ProbesFailed) }},
		row{"probe p50", latency(func(f figures) float64 { return f.ProbeP50MS })},
		row{"probe p99", latency(func(f figures) float64 { return f.ProbeP99MS })},
		row{"probe max", latency(func(f figures) float64 { return f.ProbeMaxMS })},
		row{"peak memory", func(f figures) string { return sayBytes(f.PeakBytes) }},
		row{"server's CPU", func(f figures) string {
			if f.CPU <= 0 {
				return none
			}
			return fmt.Sprintf("%.0f %%", f.CPU*100)
		}},
		row{"restarts *", func(f figures) string { return fmt.Sprintf("%.1f", f.Restarts) }},
	)
}

// none stands where there is no figure.
const none = "–"

func (res results) any(holds func(f figures) bool) bool {
	return slices.ContainsFunc(res.Servers, holds)
}

// table is the final table: one column per server, so that four fit into 80
// columns with room for names.
func (res results) table() string {
	const nameWidth, width = 20, 13
	var b strings.Builder
	line := func(name string, cell func(f figures) string) {
		fmt.Fprintf(&b, "%-*s", nameWidth, name)
		for _, f := range res.Servers {
			fmt.Fprintf(&b, "%*s", width, cell(f))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	line("", func(f figures) string { return f.Server })
	b.WriteString(strings.Repeat("-", nameWidth+width*len(res.Servers)) + "\n")
	for _, r := range res.rows() {
		line(r.name, func(f figures) string {
			if f.Error != "" {
				return none
			}
			return r.cell(f)
		})
	}
	fmt.Fprintf(&b, "\n%s\n* %s\n", notes, res.restartsNote())
	for _, f := range res.Servers {
		if f.Error != "" {
			fmt.Fprintf(&b, "%s could not be measured: %s\n", f.Server, f.Error)
		} else if f.FirstError != "" {
			fmt.Fprintf(&b, "first failed request of %s: %s\n", f.Server, f.FirstError)
		}
	}
	return b.String()
}

// notes say how to read the table.
const notes = "Latencies are those of answered probes. A server's CPU well below that of its\n" +
	"cores means that other programs took them: its figures are too low, then."

// restartsNote says what the last row of the table counts.
func (res results) restartsNote() string {
	return fmt.Sprintf("as kubelet would order them (a probe every 10 s, 3 failures in a row)\n"+
		"  in a flood of %d s: this run, read as if it had lasted %d times as long.",
		res.Seconds*flood.TimeScale, flood.TimeScale)
}

// sayMS says milliseconds in three digits or so.
func sayMS(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

// sayBytes says bytes in MB or GB, or that they are not known.
func sayBytes(n int64) string {
	switch {
	case n == 0:
		return none
	case n < 1e9:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	}
}

// sayCount says a number with its thousands apart.
func sayCount(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
