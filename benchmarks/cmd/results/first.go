package main

import "io"

// Each child is a process that encodes one value of a type that it has not met.
var firstSection = benchmarkSection(section{
	name:  "first",
	title: "The first response of a process, 1 KB",
	tables: func(w io.Writer, s samples) {
		t := table{"", []string{"payload and start", "first, ms", "second, ms", "warming, ms"}, nil}
		for _, name := range s.under("First") {
			full := "First/" + name
			t.add(name, number(s.of(full, "first-ms"), 3), number(s.of(full, "second-ms"), 3), number(s.of(full, "warm-ms"), 3))
		}
		t.write(w)
	},
}, false, benchmark{pattern: "^BenchmarkFirst$", time: "10x", cpu: 1})
