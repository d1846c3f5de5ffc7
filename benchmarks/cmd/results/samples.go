package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/probelane/probelane/benchmarks/internal/starve"
)

// samples are the lines of one section's file.
type samples struct {
	names  []string                        // of the candidates, in the order of their first line
	values map[string]map[string][]float64 // by name and unit, one per round
	header map[string]string
}

// procsSuffix is what the testing package appends to a name for GOMAXPROCS.
var procsSuffix = regexp.MustCompile(`-\d+$`)

// record writes one line of the benchmark format.
func record(w io.Writer, name string, metrics []starve.Metric) error {
	line := "Benchmark" + name + " 1"
	for _, m := range metrics {
		line += " " + strconv.FormatFloat(m.Value, 'g', 8, 64) + " " + m.Unit
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// readSamples reads the format that record and go test write. Names lose their
// "Benchmark" and the number of processors.
func readSamples(r io.Reader) (samples, error) {
	s := samples{values: map[string]map[string][]float64{}, header: map[string]string{}}
	for lines := bufio.NewScanner(r); ; {
		if !lines.Scan() {
			return s, lines.Err()
		}
		line := lines.Text()
		rest, ok := strings.CutPrefix(line, "Benchmark")
		if !ok {
			if key, value, ok := strings.Cut(line, ": "); ok && !strings.Contains(key, " ") {
				s.header[key] = value
			}
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 4 || len(fields)%2 != 0 {
			return s, fmt.Errorf("not a result: %q", line)
		}
		name := procsSuffix.ReplaceAllString(fields[0], "")
		if s.values[name] == nil {
			s.names = append(s.names, name)
			s.values[name] = map[string][]float64{}
		}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return s, fmt.Errorf("not a result: %q: %w", line, err)
			}
			s.values[name][fields[i+1]] = append(s.values[name][fields[i+1]], v)
		}
	}
}

// readSection reads a section's file; without one there are no samples.
func readSection(dir, name string) (samples, error) {
	f, err := os.Open(filepath.Join(dir, name+".txt"))
	if os.IsNotExist(err) {
		return samples{}, nil
	}
	if err != nil {
		return samples{}, err
	}
	defer f.Close()
	s, err := readSamples(f)
	if err != nil {
		return s, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return s, nil
}

// of returns a candidate's values of a unit, one per round.
func (s samples) of(name, unit string) []float64 { return s.values[name][unit] }

// under returns the names below prefix, without it.
func (s samples) under(prefix string) []string {
	var names []string
	for _, n := range s.names {
		if rest, ok := strings.CutPrefix(n, prefix+"/"); ok {
			names = append(names, rest)
		}
	}
	return names
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// maximum is the largest value, 0 of none.
func maximum(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Max(values)
}

func sum(values []float64) (total float64) {
	for _, v := range values {
		total += v
	}
	return total
}

// pairwise combines the values that two candidates had in the same round. What
// a whole round has in common, such as a busy machine, does not count then.
func pairwise(a, b []float64, combine func(a, b float64) float64) []float64 {
	out := make([]float64, 0, len(a))
	for i := range min(len(a), len(b)) {
		out = append(out, combine(a[i], b[i]))
	}
	return out
}

// ratios divides a by b, round by round, leaving out rounds in which b is 0.
func ratios(a, b []float64) []float64 {
	var as, bs []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			as, bs = append(as, a[i]), append(bs, b[i])
		}
	}
	return pairwise(as, bs, func(a, b float64) float64 { return a / b })
}
