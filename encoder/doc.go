// Package encoder writes large values as JSON in short pieces, on a bounded
// number of workers, so that nothing else in the process has to wait for them.
//
//	e, err := encoder.New()
//	n, err := e.Encode(ctx, w, v) // streams
//	b, err := e.Marshal(ctx, v)   // one slice
//
// The bytes and the errors are those of encoding/json.Marshal, for every
// value. Most of the work is done by sonic, which is several times faster; the
// cases in which the two differ are known and go to encoding/json (exact.go).
//
// A value is walked by a cursor that stops after about 64 KB of JSON, a
// quantum. Slices, arrays, maps, structs, and what pointers and interfaces lead
// to are cut wherever a quantum ends; runs of elements are given to sonic
// together. What cannot be cut is encoded whole: the output of a marshaler, a
// string, a byte slice, a map whose keys are neither strings nor integers.
//
// The first quantum is the caller's: smaller values cost what sonic costs.
// Larger ones take turns on the workers, a quantum each, so a short one never
// waits for a long one. A value whose writer is slow waits without a worker,
// and holds about a megabyte. Marshalers that users wrote run on the caller's
// goroutine, since they may block on what the caller holds.
package encoder
