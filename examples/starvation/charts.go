package main

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"github.com/probelane/probelane/examples/flood"
)

// The charts are plain SVG. What is here turns figures into positions; what
// they look like is in report.html.

// frame is where a chart's plot lies, in units that the page scales.
type frame struct {
	Width, Height            float64
	Left, Right, Top, Bottom float64
	LabelX                   float64 // where the labels of the vertical axis end
}

// newFrame leaves room for the labels to the left of and below the plot.
func newFrame(top, height float64) frame {
	const width, left = 960, 76
	return frame{Width: width, Height: height, Left: left, Right: width - 16, Top: top, Bottom: height - 30, LabelX: left - 8}
}

// tick is a line across a chart with its label: at is its position.
type tick struct {
	At    float64
	Label string
}

// axis maps values to positions.
type axis struct {
	low, high float64 // values
	from, to  float64 // positions
	log       bool
}

func (a axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		v, low, high = math.Log(max(v, a.low)), math.Log(low), math.Log(high)
	}
	v = min(max(v, low), high)
	return math.Round((a.from+(a.to-a.from)*(v-low)/(high-low))*10) / 10
}

// timeAxis runs over the seconds of the run.
func (f frame) timeAxis(seconds int) axis {
	return axis{low: 0, high: float64(seconds), from: f.Left, to: f.Right}
}

func (a axis) timeTicks() []tick {
	var ticks []tick
	for _, v := range roundSteps(a.high, min(int(a.high), 15)) { // whole seconds
		ticks = append(ticks, tick{a.at(v), fmt.Sprintf("%g s", v)})
	}
	return ticks
}

// roundSteps are the multiples of a round number from 0 to high, of which
// there are at most so many besides 0.
func roundSteps(high float64, most int) []float64 {
	if high <= 0 {
		return []float64{0}
	}
	size := math.Pow(10, math.Floor(math.Log10(high/float64(most))))
	for _, f := range []float64{1, 2, 5, 10} {
		if high/(size*f) <= float64(most) {
			size *= f
			break
		}
	}
	var steps []float64
	for i := 0; float64(i)*size <= high*1.0001; i++ {
		steps = append(steps, float64(i)*size)
	}
	return steps
}

// latencyChart is one server's probes: each answered one a dot at its latency,
// each failed one a mark in a lane of its own at the top.
type latencyChart struct {
	frame
	Server, Summary       string
	LaneTop               float64
	LaneWidth, LaneHeight float64
	XTicks, YTicks        []tick
	Dots, Marks           template.HTMLAttr // d="…" of a path
	Failed                int
}

func newLatencyChart(m measurement, f figures, seconds int) latencyChart {
	c := latencyChart{
		frame:  newFrame(42, 238),
		Server: m.mode.name,
		Failed: f.ProbesFailed,
	}
	c.LaneTop, c.LaneHeight, c.LaneWidth = 8, 24, c.Right-c.Left
	x := c.timeAxis(seconds)
	y := axis{low: 0.1, high: 1000, from: c.Bottom, to: c.Top, log: true}
	c.XTicks = x.timeTicks()
	for _, t := range []struct {
		ms    float64
		label string
	}{{0.1, "0.1 ms"}, {1, "1 ms"}, {10, "10 ms"}, {100, "100 ms"}, {1000, "1 s"}} {
		c.YTicks = append(c.YTicks, tick{y.at(t.ms), t.label})
	}
	var dots, marks strings.Builder
	for _, p := range m.probes {
		at := x.at(p.At.Seconds())
		if p.OK() {
			fmt.Fprintf(&dots, "M%g %gh0", at, y.at(p.Latency.Seconds()*1e3)) // a round cap makes it a dot
		} else {
			fmt.Fprintf(&marks, "M%g %gv%g", at, c.LaneTop+3, c.LaneHeight-6)
		}
	}
	c.Dots, c.Marks = pathData(&dots), pathData(&marks)
	c.Summary = fmt.Sprintf("%d of %d probes answered", f.ProbesAnswered, f.ProbesSent)
	if f.ProbesAnswered > 0 {
		c.Summary += fmt.Sprintf(", half of them within %s, 99 %% within %s", sayMS(f.ProbeP50MS), sayMS(f.ProbeP99MS))
	}
	return c
}

func pathData(b *strings.Builder) template.HTMLAttr {
	// Digits and the letters above only.
	return template.HTMLAttr(`d="` + b.String() + `"`)
}

// lineChart is one figure over time for all servers.
type lineChart struct {
	frame
	Title, Summary string
	XTicks, YTicks []tick
	Lines          []chartLine
}

type chartLine struct {
	Server string
	Path   template.HTMLAttr
}

// point is a value at a time.
type point struct {
	at    time.Duration
	value float64
}

// newLineChart draws one line per server, from the points that of returns.
func newLineChart(title string, all []measurement, seconds int, say func(v float64) string, of func(m measurement) []point) lineChart {
	c := lineChart{frame: newFrame(14, 300), Title: title}
	highest := 0.0
	lines := map[string][]point{}
	for _, m := range all {
		if m.err != nil {
			continue
		}
		for _, p := range of(m) {
			if p.at <= time.Duration(seconds)*time.Second { // the load ends a little later
				lines[m.mode.name] = append(lines[m.mode.name], p)
				highest = max(highest, p.value)
			}
		}
	}
	if highest == 0 {
		highest = 1
	}
	x := c.timeAxis(seconds)
	y := axis{low: 0, high: highest * 1.05, from: c.Bottom, to: c.Top}
	c.XTicks = x.timeTicks()
	for _, v := range roundSteps(highest*1.05, 6) {
		c.YTicks = append(c.YTicks, tick{y.at(v), say(v)})
	}
	var said []string
	for _, m := range all {
		points := lines[m.mode.name]
		if len(points) == 0 {
			continue
		}
		var d strings.Builder
		most := 0.0
		for i, p := range points {
			op := "L"
			if i == 0 {
				op = "M"
			}
			fmt.Fprintf(&d, "%s%g %g", op, x.at(p.at.Seconds()), y.at(p.value))
			most = max(most, p.value)
		}
		c.Lines = append(c.Lines, chartLine{m.mode.name, pathData(&d)})
		said = append(said, fmt.Sprintf("%s at most %s", m.mode.name, say(most)))
	}
	c.Summary = strings.Join(said, ", ")
	return c
}

// throughput is the responses finished per second, second by second: a second
// is drawn in its middle, and one that is not whole is left out.
func throughput(load flood.Result) []point {
	per := int(time.Second / load.Interval)
	var points []point
	for i := 0; i+per <= len(load.Series); i += per {
		sum := 0.0
		for _, s := range load.Series[i : i+per] {
			sum += float64(s.OK)
		}
		points = append(points, point{time.Duration(i/per)*time.Second + time.Second/2, sum})
	}
	return points
}

func resident(memory []flood.Memory) []point {
	var points []point
	for _, m := range memory {
		points = append(points, point{m.At, float64(m.RSS)})
	}
	return points
}
