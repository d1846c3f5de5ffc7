package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// compressedCase is a server of cmd/compressed, and for how long it is measured.
type compressedCase struct {
	server  string
	seconds int
}

// compressing are all of them. In six seconds gin-contrib/gzip's have answered
// hardly anybody.
var compressing = []compressedCase{
	{"gin-contrib-gzip", 12}, {"gin-contrib-gzip-BestSpeed", 12}, {"gzip", 6}, {"zstd", 6},
}

const compressedName = "Compressed/shared/64clients/"

var compressedSection = section{
	name:  "compressed",
	title: "The same 40,000 clients per response, compressed, for 64 clients",
	round: func(ctx context.Context, e *environment, round int, out io.Writer) error {
		bin := filepath.Join(filepath.Dir(e.tests), "compressed")
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/probelane/probelane/benchmarks/cmd/compressed")
		if said, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building cmd/compressed: %w\n%s", err, said)
		}
		return inOrder(round, compressing, func(c compressedCase) error {
			cmd := exec.CommandContext(ctx, bin, "-seconds", strconv.Itoa(c.seconds), c.server)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("compressed %s: %w\n%s", c.server, err, stderr.Bytes())
			}
			_, err := out.Write(stdout.Bytes())
			return err
		})
	},
	commands: func() (all []string) {
		for _, c := range compressing {
			all = append(all, fmt.Sprintf("go run ./benchmarks/cmd/compressed -seconds %d %s", c.seconds, c.server))
		}
		return all
	},
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"server", "responses/s", "÷ gin-contrib at its best", "MB/s sent", "probes failed / sent", "p99 of all probes, ms", "peak, MB"}, nil}
		for _, c := range compressing {
			full := compressedName + c.server
			t.add(strings.ReplaceAll(c.server, "-BestSpeed", ", BestSpeed"), number(s.of(full, "responses/s"), 1),
				times(ratios(s.of(full, "responses/s"), s.of(compressedName+"gin-contrib-gzip-BestSpeed", "responses/s"))),
				number(s.of(full, "MB/s"), 1),
				fmt.Sprintf("%.0f / %.0f", sum(s.of(full, "failed")), sum(s.of(full, "probes"))),
				number(s.of(full, "p99-of-all-ms"), 1), number(s.of(full, "peak-MB"), 0))
		}
		t.write(w)
	},
}

// compressedGoals are those of one of our codings.
func compressedGoals(coding string) []goal {
	ours, theirs := compressedName+coding, compressedName+"gin-contrib-gzip-BestSpeed"
	return []goal{
		{"compressed", coding + ", 64 clients: responses/s beyond gin-contrib/gzip's at BestSpeed", "> 0",
			medianOf(func(s samples) []float64 {
				return pairwise(s.of(ours, "responses/s"), s.of(theirs, "responses/s"), minus)
			}), func(v float64) bool { return v > 0 }, "%.1f"},
		{"compressed", "the same: its p99 of all probes, times ours", "≥ 10",
			ratio(theirs, ours, "p99-of-all-ms"), atLeast(10), "%.1f"},
	}
}
