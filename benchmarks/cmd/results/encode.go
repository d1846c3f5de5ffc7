package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// The encoders. All variants of a payload share a process, and each begins with
// the pools and the heap of nobody: building what they encode takes longer than
// encoding it.
var (
	encodeSection = benchmarkSection(section{
		name:   "encode",
		title:  "Encoding, one goroutine on one core",
		tables: encodeTables("Encode"),
	}, false, withV2("^BenchmarkEncode$/.*/^(1KB|64KB|1MB)$", "60ms", 1, withV2("^BenchmarkEncode$/.*/^18MB$", "200ms", 1, nil))...)

	// The peers that are fastest at 18 MB, and encoding/json: all of them would take
	// half an hour a round, and documents 12 GB. Two calls would tell what the one
	// before the clock has left: from a buffer that grew, memory for several
	// results, where others still get theirs from the system.
	largeSection = benchmarkSection(section{
		name:   "large",
		title:  "Encoding 180 MB, one goroutine on one core",
		rounds: 2,
		tables: encodeTables("Encode"),
	}, false, benchmark{pattern: "^BenchmarkEncode$/^(clients|records|maps)$/^180MB$/^(probelane-Encode|probelane-Marshal|goccy-Encoder|goccy-Marshal|encoding-json-Marshal)$", time: "8x", cpu: 1})

	parallelSection = benchmarkSection(section{
		name:   "parallel",
		title:  "Encoding on both cores at the same time, exact encoders",
		tables: encodeTables("EncodeParallel"),
	}, true, withV2("^BenchmarkEncodeParallel$/^(clients|records|maps|document)$/^(64KB|18MB)$", "150ms", 2, nil)...)
)

// withV2 adds a benchmark of the encoders in the build that has encoding/json/v2,
// and another of encoding/json in that which has it as most know it: in the
// first it is encoding/json/v2's. Whoever may be the fastest is measured in one
// process, within seconds.
func withV2(pattern, time string, cpu int, to []benchmark) []benchmark {
	const first = "^encoding-json-(Marshal|Encoder)$"
	return append(to,
		benchmark{pattern: pattern + "/" + first, time: time, cpu: cpu},
		benchmark{pattern: pattern, skip: "/.*/.*/" + first, time: time, cpu: cpu, jsonv2: true})
}

// rated reports whether an encoder's name says that its output is
// encoding/json's.
func rated(variant string) bool {
	for _, suffix := range []string{"-inexact", "-lossy", "-limit"} {
		if strings.HasSuffix(variant, suffix) {
			return false
		}
	}
	return true
}

// bestPeer is the exact encoder other than ours that is fastest at a payload, by
// its median.
func bestPeer(s samples, payload string, among func(variant string) bool) (variant string) {
	for _, name := range s.under(payload) {
		if !rated(name) || strings.HasPrefix(name, "probelane-") || !among(name) {
			continue
		}
		if variant == "" || median(s.of(payload+"/"+name, "ns/op")) < median(s.of(payload+"/"+variant, "ns/op")) {
			variant = name
		}
	}
	return variant
}

// The two forms of a result. What writes can be measured against all, as who has
// a slice can write it.
func anyForm(string) bool         { return true }
func asSlice(variant string) bool { return strings.HasSuffix(variant, "-Marshal") }

// against is the best peer's time divided by ours, with the peer's name.
func against(s samples, payload, ours string, among func(string) bool) (ratio []float64, peer string) {
	peer = bestPeer(s, payload, among)
	return ratios(s.of(payload+"/"+peer, "ns/op"), s.of(payload+"/"+ours, "ns/op")), peer
}

// payloadsUnder are the names of the payloads that were encoded.
func payloadsUnder(s samples, prefix string) (payloads []string) {
	for _, name := range s.under(prefix) {
		payload := prefix + "/" + name[:strings.LastIndex(name, "/")]
		if !slices.Contains(payloads, payload) {
			payloads = append(payloads, payload)
		}
	}
	return payloads
}

// encodeTables are an overview and, folded, one table for each payload.
func encodeTables(prefix string) func(io.Writer, samples) {
	return func(w io.Writer, s samples) {
		payloads := payloadsUnder(s, prefix)
		t := table{"", []string{"payload", "probelane-Encode", "best exact peer", "÷ ours", "probelane-Marshal", "best exact peer's slice", "÷ ours"}, nil}
		for _, p := range payloads {
			cells := []string{strings.TrimPrefix(p, prefix+"/")}
			for _, form := range []struct {
				ours  string
				among func(string) bool
			}{{"probelane-Encode", anyForm}, {"probelane-Marshal", asSlice}} {
				ratio, peer := against(s, p, form.ours, form.among)
				cells = append(cells, duration(s.of(p+"/"+form.ours, "ns/op")), peer+" "+duration(s.of(p+"/"+peer, "ns/op")), times(ratio))
			}
			t.add(cells...)
		}
		t.write(w)
		fmt.Fprint(w, "<details><summary>Every encoder</summary>\n\n")
		for _, p := range payloads {
			encodeTable(w, s, p, strings.TrimPrefix(p, prefix+"/"))
		}
		fmt.Fprint(w, "</details>\n\n")
	}
}

func encodeTable(w io.Writer, s samples, payload, title string) {
	t := table{"`" + title + "`", []string{"variant", "time", "MB/s", "encoding/json ÷ this", "sonic Std ÷ this", "B/op", "allocs/op"}, nil}
	names := s.under(payload)
	// In the build with encoding/json/v2 it is measured after the others.
	slices.SortStableFunc(names, func(a, b string) int {
		return strings.Compare(strings.SplitN(a, "-", 2)[0], strings.SplitN(b, "-", 2)[0])
	})
	for _, name := range names {
		full := payload + "/" + name
		against := func(base string) string {
			return times(ratios(s.of(payload+"/"+base, "ns/op"), s.of(full, "ns/op")))
		}
		t.add(name, duration(s.of(full, "ns/op")), number(s.of(full, "MB/s"), 0),
			against("encoding-json-Marshal"), against("sonic-Std-Marshal"),
			number(s.of(full, "B/op"), 0), number(s.of(full, "allocs/op"), 0))
	}
	t.write(w)
}
