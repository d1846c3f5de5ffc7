#!/usr/bin/env bash
# Makes the published figures, in results/: every round in the format of Go's
# benchmarks in SECTION.txt, and medians, ratios and goals in summary.md.
#
#	benchmarks/results.sh all              every section, 5 rounds, an hour and a half
#	benchmarks/results.sh SECTION [rounds] one of encode, parallel, large, quantum,
#	                                       wake, first, stw, loopback, fair, ab,
#	                                       wrk, lane, flood, slow, compressed,
#	                                       endure
#	benchmarks/results.sh summary          summary.md anew from what is there
#	benchmarks/results.sh publish          the same, and RESULTS.md from it
#
# A section replaces its own file and leaves the others, so a run that was
# stopped is continued by running what is missing. RESULTS_DIR sets another
# directory. Linux, two quiet cores, 12 GB of memory (20 for endure), taskset; ab
# (apache2-utils) and wrk for the sections of that name.
set -euo pipefail

if (($# < 1 || $# > 2)); then
	sed -n 's/^#[[:blank:]]\{0,1\}//p' "${BASH_SOURCE[0]}" | tail -n +2
	exit 2
fi
cd "$(dirname "${BASH_SOURCE[0]}")"

program=$(mktemp -d)
trap 'rm -rf "$program"' EXIT
# Not "go run", which would stay between a Ctrl-C and what has to be stopped.
go build -o "$program/results" ./cmd/results
results=${RESULTS_DIR:-results}
"$program/results" -rounds "${2:-5}" -o "$results" "${1/publish/summary}"
[[ $1 != publish ]] || cp "$results/summary.md" RESULTS.md
