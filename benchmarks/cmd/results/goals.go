package main

import (
	"fmt"
	"strings"
)

// goal is a figure that the project has set itself.
type goal struct {
	section, text, want string
	// measure returns what was measured, and whether there were any samples.
	measure func(s samples) (m measured, known bool)
	reached func(value float64) bool
	format  string
}

// measured is the value that counts, and what it is of where it is the worst of
// several.
type measured struct {
	value float64
	of    string
}

func atLeast(limit float64) func(float64) bool { return func(v float64) bool { return v >= limit } }
func atMost(limit float64) func(float64) bool  { return func(v float64) bool { return v <= limit } }
func below(limit float64) func(float64) bool   { return func(v float64) bool { return v < limit } }

// middle is the median of a candidate's unit.
func middle(name, unit string) func(samples) (measured, bool) {
	return medianOf(func(s samples) []float64 { return s.of(name, unit) })
}

// ratio is the median of a candidate's unit divided by another's in the same
// round.
func ratio(name, base, unit string) func(samples) (measured, bool) {
	return medianOf(func(s samples) []float64 { return ratios(s.of(name, unit), s.of(base, unit)) })
}

func medianOf(values func(samples) []float64) func(samples) (measured, bool) {
	return func(s samples) (measured, bool) {
		v := values(s)
		return measured{value: median(v)}, len(v) > 0
	}
}

// most is the worst of all rounds.
func most(name, unit string) func(samples) (measured, bool) {
	return func(s samples) (measured, bool) {
		v := s.of(name, unit)
		return measured{value: maximum(v)}, len(v) > 0
	}
}

// slowest is the largest median of a unit among all of ours below prefix.
func slowest(prefix, unit string) func(samples) (measured, bool) {
	return func(s samples) (worst measured, known bool) {
		for _, name := range s.under(prefix) {
			payload, variant, ours := strings.Cut(name, "/probelane-")
			if v := median(s.of(prefix+"/"+name, unit)); ours && (!known || v > worst.value) {
				worst, known = measured{v, payload + ", " + variant}, true
			}
		}
		return worst, known
	}
}

// leastLead is the smallest lead that ours has over the best exact peer, among
// all payloads of a size.
func leastLead(size, ours string, among func(string) bool) func(samples) (measured, bool) {
	return func(s samples) (worst measured, known bool) {
		for _, payload := range payloadsUnder(s, "Encode") {
			if !strings.HasSuffix(payload, "/"+size) {
				continue
			}
			lead, peer := against(s, payload, ours, among)
			if v := median(lead); len(lead) > 0 && (!known || v < worst.value) {
				worst, known = measured{v, strings.Split(payload, "/")[1] + ", " + peer}, true
			}
		}
		return worst, known
	}
}

// floodGoals are those of one server under one load. Probes and memory count at
// their worst, everything else at its median.
func floodGoals(load, what, server string, p99, perSecond, peak float64) []goal {
	name := "Flood/" + load + "/" + server
	what += ", " + server
	goals := []goal{
		{"flood", what + ": probes failed, worst round", "0", most(name, "failed"), atMost(0), "%.0f"},
		{"flood", what + ": p99 of probes", fmt.Sprintf("≤ %.0f ms", p99), middle(name, "p99-ms"), atMost(p99), "%.1f ms"},
		{"flood", what + ": peak memory, worst round", fmt.Sprintf("≤ %.0f MiB", peak/mib*1e6), most(name, "peak-MB"), atMost(peak), "%.0f MB"},
	}
	if perSecond > 0 {
		goals = append(goals, goal{"flood", what + ": responses/s", fmt.Sprintf("≥ %.0f", perSecond), middle(name, "responses/s"), atLeast(perSecond), "%.1f"})
	}
	return goals
}

// mib is a mebibyte. Peaks are recorded in MB and bounded in MiB, as memory
// limits are.
const mib = 1 << 20

func mebibytes(n float64) (mb float64) { return n * mib / 1e6 }

// goals are checked in the summary, in this order.
var goals = func() (all []goal) {
	for _, size := range []struct {
		name, section string
		lead          float64
	}{{"1KB", "encode", 0.95}, {"64KB", "encode", 1}, {"1MB", "encode", 1}, {"18MB", "encode", 1}, {"180MB", "large", 1}} {
		all = append(all,
			goal{size.section, size.name + " into a writer: best exact peer's time ÷ ours, worst payload", fmt.Sprintf("≥ %.2f", size.lead),
				leastLead(size.name, "probelane-Encode", anyForm), atLeast(size.lead), "%.2f"},
			goal{size.section, size.name + " as a slice: the same among slices", fmt.Sprintf("≥ %.2f", size.lead),
				leastLead(size.name, "probelane-Marshal", asSlice), atLeast(size.lead), "%.2f"})
	}
	for _, kind := range []string{"clients", "records", "maps", "document"} {
		payload := "Encode/" + kind + "/18MB/"
		all = append(all, goal{"encode", "18 MB of " + kind + " into a discarding writer: our time ÷ sonic's into a warm buffer", "≤ 1.25",
			ratio(payload+"probelane-Encode", payload+"sonic-EncodeInto-limit", "ns/op"), atMost(1.25), "%.2f"})
	}
	for _, server := range []string{"encoder", "guarded"} {
		all = append(all, goal{"loopback", "18 MB over loopback, " + server + ": MB/s ÷ what encoding and sending allow", "≥ 0.90",
			medianOf(func(s samples) []float64 { return ofLimits(s, "Loopback/"+server) }), atLeast(0.9), "%.2f"})
	}
	large := "Encode/clients/18MB/"
	all = append(all,
		goal{"quantum", "longest run without giving way, p99.9, worst workload", "≤ 1 ms",
			slowest("Quantum", "p99.9-quantum-ms"), atMost(1), "%.3f ms"},
		goal{"fair", "64 KB beside 64 encodes of 18 MB on one core: p99", "< 20 ms",
			middle("Fairness/beside64/probelane-Encode", "p99-response-ms"), below(20), "%.1f ms"},
		goal{"fair", "the same over HTTP, encoder: p99", "< 20 ms",
			middle("FairnessHTTP/page/encoder", "p99-response-ms"), below(20), "%.1f ms"},
		goal{"fair", "the same over HTTP, guarded: p99", "< 20 ms",
			middle("FairnessHTTP/page/guarded", "p99-response-ms"), below(20), "%.1f ms"},
		goal{"encode", "18 MB of clients into a discarding writer: times encoding/json", "≥ 3",
			ratio(large+"encoding-json-Marshal", large+"probelane-Encode", "ns/op"), atLeast(3), "%.2f"},
		goal{"encode", "the same: times sonic.ConfigStd.Marshal", "≥ 4",
			ratio(large+"sonic-Std-Marshal", large+"probelane-Encode", "ns/op"), atLeast(4), "%.2f"},
		goal{"stw", "longest stop of the world during Encode, all rounds", "≤ 5 ms",
			most("StopTheWorld/probelane-Encode", "worst-stop-ms"), atMost(5), "%.2f ms"},
		goal{"ab", "ab -n1000 -c100 on a sleep of 100 ms: p95 beyond plain's", "≤ 10 ms",
			medianOf(func(s samples) []float64 {
				return pairwise(s.of("AB/sleep100ms/guarded", "p95-ms"), s.of("AB/sleep100ms/plain", "p95-ms"), minus)
			}), atMost(10), "%.0f ms"},
		goal{"wrk", "wrk -t1 -c32 on 60 bytes: requests/s, times plain's", "≥ 0.95",
			ratio("Wrk/small/guarded", "Wrk/small/plain", "requests/s"), atLeast(0.95), "%.3f"},
	)
	for _, server := range []struct {
		name  string
		times float64
		peak  float64
	}{{"stream", 4, 128}, {"guarded", 1.8, 1024}} {
		all = append(all, goal{"flood", "in memory, 64 clients, " + server.name + ": responses/s, times offload's", fmt.Sprintf("≥ %.1f", server.times),
			ratio("Flood/"+shared64+"/"+server.name, "Flood/"+shared64+"/offload", "responses/s"), atLeast(server.times), "%.2f"})
		all = append(all, floodGoals(shared64, "in memory, 64 clients", server.name, 12, 0, mebibytes(server.peak))...)
	}
	for _, load := range []struct{ name, what string }{
		{built64, "built, 64 clients"}, {built256, "built, 256 clients"},
	} {
		all = append(all, floodGoals(load.name, load.what, "stream", 30, 40, mebibytes(256))...)
		all = append(all, floodGoals(load.name, load.what, "guarded", 30, 25, mebibytes(512))...)
	}
	for _, server := range []struct {
		name string
		peak float64
	}{{"stream", 256}, {"guarded", 512}} {
		all = append(all, goal{"flood", "built, 64 clients, both cores, " + server.name + ": peak memory, worst round", fmt.Sprintf("≤ %.0f MiB", server.peak),
			most("Flood/"+bothCores+"/"+server.name, "peak-MB"), atMost(mebibytes(server.peak)), "%.0f MB"})
	}
	for _, server := range []string{"stream", "guarded"} {
		a, b := "Slow/"+alone+"/"+server, "Slow/"+besides+"/"+server
		all = append(all,
			goal{"slow", "16 fast beside 100 slow and 100 stalled, " + server + ": responses/s, times alone", "≥ 0.80", ratio(b, a, "responses/s"), atLeast(0.8), "%.2f"},
			goal{"slow", "the same, " + server + ": peak memory, worst round", "≤ 512 MiB", most(b, "peak-MB"), atMost(mebibytes(512)), "%.0f MB"})
	}
	all = append(all, laneGoals()...)
	return append(append(all, compressedGoals("gzip")...), compressedGoals("zstd")...)
}()

// verdict says whether a goal was reached, of the samples of its section.
func (g goal) verdict(s samples) (value, verdict string) {
	m, known := g.measure(s)
	if !known {
		return "–", "not measured"
	}
	value = fmt.Sprintf(g.format, m.value)
	if m.of != "" {
		value += " (" + m.of + ")"
	}
	if g.reached(m.value) {
		return value, "yes"
	}
	return value, "**no**"
}
