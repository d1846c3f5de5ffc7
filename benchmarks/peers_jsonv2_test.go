//go:build goexperiment.jsonv2

package benchmarks

import (
	stdjson "encoding/json"
	jsonv2 "encoding/json/v2"
	"io"
)

// encoding/json/v2 comes with an experiment that also replaces what is beneath
// encoding/json, so these have a build of their own, and encoding/json's own
// figures come from a build without them:
//
//	GOEXPERIMENT=jsonv2 go test -run '^$' -bench 'Encode$/.*/.*/encoding-json-v2' ./benchmarks
//
// With the options of the first version it gives that version's bytes. By
// itself it leaves HTML as it is, does not sort keys, and has no null for a nil
// slice or map.
func init() {
	like1 := stdjson.DefaultOptionsV1()
	variants = append(variants,
		variant{name: "encoding-json-v2-Marshal", start: marshals(func(v any) ([]byte, error) { return jsonv2.Marshal(v, like1) })},
		variant{name: "encoding-json-v2-Write", start: encodes(func(w io.Writer) streamer { return v2Stream{w, like1} })},
		variant{name: "encoding-json-v2-Fastest-Marshal", fidelity: inexact, start: marshals(func(v any) ([]byte, error) { return jsonv2.Marshal(v) })},
		variant{name: "encoding-json-v2-Fastest-Write", fidelity: inexact, start: encodes(func(w io.Writer) streamer { return v2Stream{w, jsonv2.DefaultOptionsV2()} })},
	)
}

type v2Stream struct {
	w       io.Writer
	options jsonv2.Options
}

func (s v2Stream) Encode(v any) error { return jsonv2.MarshalWrite(s.w, v, s.options) }
