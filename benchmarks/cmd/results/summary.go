package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeSummary writes dir/summary.md from all sections that were measured, and
// the same to w.
func writeSummary(dir string, w io.Writer) error {
	measured := map[string]samples{}
	for _, s := range sections {
		got, err := readSection(dir, s.name)
		if err != nil {
			return err
		}
		if len(got.names) > 0 {
			measured[s.name] = got
		}
	}
	var b strings.Builder
	summarize(&b, measured)
	path := filepath.Join(dir, "summary.md")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s\nAlso in %s; every round is in %s\n", b.String(), path, filepath.Join(dir, "*.txt"))
	return err
}

// summarize writes the goals, and then each section's machine, commands and
// tables.
func summarize(w io.Writer, measured map[string]samples) {
	fmt.Fprint(w, "# Results\n\nEvery cell is the median of the rounds, with the least and the most in brackets\nwhere they differ. Ratios and differences are taken within each round first.\n\n")
	t := table{"", []string{"figure", "goal", "measured", "reached"}, nil}
	for _, g := range goals {
		measuredValue, verdict := g.verdict(measured[g.section])
		t.add(g.text, g.want, measuredValue, verdict)
	}
	t.write(w)
	for _, s := range sections {
		got, ok := measured[s.name]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "## %s\n\n", s.title)
		h := got.header
		fmt.Fprintf(w, "%s, %s, %s cores (%s), %s, commit %s; rounds: %d; the machine's load before: %s.\n\n```sh\n",
			h["date"], h["go"], h["cores"], h["cpu"], h["kernel"], h["commit"], got.rounds(), h["load-before"])
		for _, c := range s.commands() {
			fmt.Fprintln(w, c)
		}
		fmt.Fprint(w, "```\n\n")
		s.tables(w, got)
	}
}

// rounds is how many rounds have been measured in full.
func (s samples) rounds() int {
	n := -1
	for _, units := range s.values {
		most := 0
		for _, values := range units {
			most = max(most, len(values))
		}
		if n < 0 || most < n {
			n = most
		}
	}
	return max(n, 0)
}

// table is a Markdown table.
type table struct {
	title   string
	columns []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) {
	if t.title != "" {
		fmt.Fprintf(w, "**%s**\n\n", t.title)
	}
	fmt.Fprintf(w, "| %s |\n|---|%s\n", strings.Join(t.columns, " | "), strings.Repeat("--:|", len(t.columns)-1))
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
	fmt.Fprintln(w)
}

// number is the median of values with the least and the most of them.
func number(values []float64, decimals int) string {
	show := func(v float64) string { return fmt.Sprintf("%.*f", decimals, v) }
	return spread(values, show)
}

// times is number for ratios.
func times(values []float64) string { return number(values, 2) }

// duration is number for nanoseconds, in the unit that suits the median.
func duration(values []float64) string {
	unit, name := 1e6, "ms"
	if median(values) < 1e6 {
		unit, name = 1e3, "µs"
	}
	return spread(values, func(v float64) string { return fmt.Sprintf("%.3g %s", v/unit, name) })
}

func spread(values []float64, show func(float64) string) string {
	if len(values) == 0 {
		return "–"
	}
	middle, low, high := show(median(values)), show(slices.Min(values)), show(slices.Max(values))
	if low == high {
		return middle
	}
	return fmt.Sprintf("%s (%s – %s)", middle, low, high)
}
