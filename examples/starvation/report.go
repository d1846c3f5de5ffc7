package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"os"
	"strings"
	"time"
)

//go:embed report.html
var reportHTML string

var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// report is what report.html is filled with.
type report struct {
	results
	Headline   string
	Cards      []card
	Latency    []latencyChart
	Throughput lineChart
	Memory     lineChart
	Rows       []reportRow
	When       string
	Payload    string
	Notes      string
	Note       string
	Unmeasured []figures
}

// card is one server in three figures.
type card struct {
	Server, Title, How      string
	Answered, Speed, Memory string
	AnsweredOf              string
	Failed                  int
}

type reportRow struct {
	Name  string
	Cells []string
}

// writeReport writes the report to a file, all in one: no script, and nothing
// to fetch.
func writeReport(path string, res results, all []measurement) error {
	var b strings.Builder
	if err := reportTemplate.Execute(&b, newReport(res, all)); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func newReport(res results, all []measurement) report {
	r := report{results: res, When: res.Date.Format("2 January 2006, 15:04 MST"), Notes: notes, Note: res.restartsNote()}
	r.Payload = "built by its handler"
	if res.Payload == "shared" {
		r.Payload = "one value that is in memory already"
	}
	var told []string
	for i, f := range res.Servers {
		if f.Error != "" {
			r.Unmeasured = append(r.Unmeasured, f)
			continue
		}
		c := card{
			Server: f.Server, Title: f.mode.title, How: f.mode.how,
			Answered: percent(f.ProbesAnswered, f.ProbesSent), Failed: f.ProbesFailed,
			AnsweredOf: fmt.Sprintf("%d of %d", f.ProbesAnswered, f.ProbesSent),
			Speed:      fmt.Sprintf("%.1f", f.ResponsesPerSecond),
			Memory:     sayBytes(f.PeakBytes),
		}
		r.Cards = append(r.Cards, c)
		r.Latency = append(r.Latency, newLatencyChart(all[i], f, res.Seconds))
		told = append(told, fmt.Sprintf("%s answered %s", f.Server, c.AnsweredOf))
	}
	r.Headline = strings.Join(told, ", ")
	if i := strings.LastIndex(r.Headline, ", "); i >= 0 {
		r.Headline = r.Headline[:i] + " and" + r.Headline[i+1:]
	}
	r.Throughput = newLineChart("Responses finished per second", all, res.Seconds,
		func(v float64) string { return fmt.Sprintf("%.4g", v) },
		func(m measurement) []point { return throughput(m.load) })
	r.Memory = newLineChart("Resident memory of the server process", all, res.Seconds,
		func(v float64) string {
			if v == 0 {
				return "0"
			}
			return sayBytes(int64(v))
		},
		func(m measurement) []point { return resident(m.memory) })
	for _, row := range res.rows() {
		cells := reportRow{Name: row.name}
		for _, f := range res.Servers {
			cell := none
			if f.Error == "" {
				cell = row.cell(f)
			}
			cells.Cells = append(cells.Cells, cell)
		}
		r.Rows = append(r.Rows, cells)
	}
	return r
}

// percent never says 100 % when one is missing, nor 0 % when one is there.
func percent(part, of int) string {
	switch {
	case of == 0:
		return none
	case part == of:
		return "100 %"
	case part == 0:
		return "0 %"
	}
	return fmt.Sprintf("%.1f %%", min(max(float64(part)/float64(of)*100, 0.1), 99.9))
}

// Flood is how long one server was flooded.
func (r report) Flood() time.Duration { return time.Duration(r.Seconds) * time.Second }

func (r report) EntitiesSaid() string { return sayCount(r.Entities) }
