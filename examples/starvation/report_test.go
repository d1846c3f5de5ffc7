package main

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rendered writes a report and reads it back.
func rendered(t *testing.T, o *options, all []measurement) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := writeReport(path, o.results(all), all); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(html)
}

func TestReportIsSelfContained(t *testing.T) {
	page := rendered(t, testOptions(), []measurement{measured("plain", 100), measured("guarded", 0)})
	for _, bad := range []string{"<script", "<link", "<img", "src=", "href=", "url(", "@import", "http://", "https://", "ZgotmplZ"} {
		if strings.Contains(page, bad) {
			t.Errorf("the report has %q", bad)
		}
	}
}

func TestReportTellsEverything(t *testing.T) {
	o := testOptions()
	o.slow, o.slowRate, o.stalled = 100, 0.5, 20
	all := []measurement{measured("plain", 98), measured("offload", 40), measured("guarded", 0)}
	page := rendered(t, o, all)
	for _, want := range []string{
		"plain answered 2 of 100, offload answered 60 of 100 and guarded answered 100 of 100",
		o.command, "40,000 entities", "100 that read 0.5", "20 that never read", cpuModel(), "go1.",
		"prefers-color-scheme: dark", `lang="en"`, "at most 3.00 GB",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	for _, r := range o.results(all).rows() {
		if !strings.Contains(page, `<th scope="row">`+html.EscapeString(r.name)+`</th>`) {
			t.Errorf("the table lacks %q", r.name)
		}
	}
}

var (
	svgElement = regexp.MustCompile(`(?s)<svg .*?</svg>`)
	dots       = regexp.MustCompile(`class="dots" d="([^"]*)"`)
	marks      = regexp.MustCompile(`class="marks" d="([^"]*)"`)
)

func TestReportDrawsEveryProbe(t *testing.T) {
	failed := []int{100, 40, 0}
	page := rendered(t, testOptions(), []measurement{measured("plain", failed[0]), measured("offload", failed[1]), measured("guarded", failed[2])})
	allDots, allMarks := dots.FindAllStringSubmatch(page, -1), marks.FindAllStringSubmatch(page, -1)
	if len(allDots) != 3 || len(allMarks) != 3 {
		t.Fatalf("%d and %d paths, want 3 of each", len(allDots), len(allMarks))
	}
	for i, n := range failed {
		if got := strings.Count(allMarks[i][1], "M"); got != n {
			t.Errorf("chart %d has %d marks, want %d", i, got, n)
		}
		if got := strings.Count(allDots[i][1], "M"); got != 100-n {
			t.Errorf("chart %d has %d dots, want %d", i, got, 100-n)
		}
	}
}

func TestChartsAreWellFormedAndNamed(t *testing.T) {
	page := rendered(t, testOptions(), []measurement{measured("plain", 50), measured("guarded", 0)})
	charts := svgElement.FindAllString(page, -1)
	if len(charts) != 2+2+4 { // latencies, lines, and their legends
		t.Errorf("%d charts", len(charts))
	}
	for _, c := range charts {
		head, _, _ := strings.Cut(c, ">")
		if !strings.Contains(head, "aria-label=") && !strings.Contains(head, "aria-hidden=") {
			t.Errorf("a chart without a name: %s", head)
		}
		for dec := xml.NewDecoder(strings.NewReader(c)); ; {
			_, err := dec.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in %s", err, c)
			}
		}
		if strings.Contains(c, "NaN") || strings.Contains(c, "Inf") {
			t.Errorf("a position that is no number in %s", c)
		}
	}
}

func TestReportOfWhatCouldNotBeMeasured(t *testing.T) {
	failed := measurement{mode: modes[0], err: errors.New(`it wrote: <script>alert("x")</script>`)}
	page := rendered(t, testOptions(), []measurement{failed, measured("guarded", 0)})
	if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;") {
		t.Error("what the server wrote is not escaped")
	}
	if len(dots.FindAllString(page, -1)) != 1 {
		t.Error("want one latency chart, of the server that was measured")
	}
	onlyFailed := rendered(t, testOptions(), []measurement{failed})
	if !strings.Contains(onlyFailed, "Not measured") {
		t.Error("a report of nothing does not say so")
	}
}

func TestAxis(t *testing.T) {
	log := axis{low: 0.1, high: 1000, from: 200, to: 40, log: true}
	for v, want := range map[float64]float64{0.1: 200, 1: 160, 10: 120, 1000: 40, 0: 200, 1e6: 40} {
		if got := log.at(v); got != want {
			t.Errorf("%v ms lies at %v, want %v", v, got, want)
		}
	}
	linear := axis{low: 0, high: 10, from: 0, to: 100}
	for v, want := range map[float64]float64{0: 0, 5: 50, 10: 100, 11: 100, -1: 0} {
		if got := linear.at(v); got != want {
			t.Errorf("%v lies at %v, want %v", v, got, want)
		}
	}
}

func TestRoundSteps(t *testing.T) {
	for _, tc := range []struct {
		high float64
		most int
		want []float64
	}{
		{12, 12, []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{60, 15, []float64{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60}},
		{1.05, 6, []float64{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}},
		{3.4e9, 6, []float64{0, 1e9, 2e9, 3e9}},
		{0, 6, []float64{0}},
	} {
		if got := roundSteps(tc.high, tc.most); !slices.Equal(got, tc.want) {
			t.Errorf("to %v in %d: %v, want %v", tc.high, tc.most, got, tc.want)
		}
	}
}

func TestThroughputLeavesOutASecondThatIsNotWhole(t *testing.T) {
	load := measured("plain", 0).load
	load.Series = load.Series[:11]
	want := []point{{500 * time.Millisecond, 8}, {1500 * time.Millisecond, 8}}
	if got := throughput(load); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
