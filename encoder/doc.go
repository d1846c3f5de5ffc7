// Package encoder writes large values as JSON in short pieces, on a bounded
// number of workers, so that nothing else in the process has to wait for them.
//
//	e, err := encoder.New()
//	n, err := e.Encode(ctx, w, v) // streams
//	b, err := e.Marshal(ctx, v)   // one slice
//
// The bytes and the errors are those of encoding/json.Marshal, for every value.
//
// # How a value is cut
//
// A value is walked by a cursor that stops after about 64 KB of JSON, a quantum,
// wherever that is: between the elements of slices, arrays and maps, between
// the fields of structs, and inside strings and byte slices. The walk is an
// ordinary recursion over what is known of each type; to stop, each function
// puts down where it stands and returns. The keys of a map are sorted in batches
// that give way as well. See cursor.go.
//
// The first quantum is the caller's: smaller values cost what it takes to encode
// them. Larger ones take turns on the workers, a quantum each, and those that are
// nearly done have every second turn, so a short one never waits for the long
// ones, however many they are. A value whose writer is slow waits without a
// worker, and holds about a megabyte.
//
// # Who encodes what
//
// Text, structs, maps and all that holds them are encoded here, in Go, but for
// the inside of strings where there is AVX2: wide_amd64.s. It is a few times
// faster than encoding/json, can be preempted at any point, there within 5 µs, and
// has exactly one behavior on every platform. An earlier design gave runs of
// elements to sonic, and took 1.3 times as long: sonic cannot be stopped, so
// every run has to be weighed beforehand, and its output looked through for
// characters that it escapes differently.
//
// Where it has none of these, in slices and arrays of numbers, sonic is more
// than twice as fast as Go can be, and those are its: numbers.go. Whether that
// is so on this platform is tried once, and Stats has the result.
//
// What remains is encoding/json's, in one piece each: the output of marshalers,
// and what cannot be encoded, for the sake of its error. The list is in
// exact.go. Marshalers that users wrote run on the caller's goroutine, since
// they may block on what the caller holds; that value then goes on there, a
// quantum at a time.
//
// # Sequences
//
// Encode also takes what encoding/json refuses: an iter.Seq, or an iter.Seq2
// whose second value is an error, by itself or anywhere in a value, and writes
// it as an array while it is produced. See Rows for the fast way, and Lines for
// newline-delimited JSON.
package encoder
