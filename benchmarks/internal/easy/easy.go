// Package easy has the code that easyjson generates for the typed payloads. The
// types are of its own, as their methods would change what others encode; the
// payloads convert to them as they are. Without the methods of encoding/json
// nobody but easyjson calls that code.
package easy

import (
	"github.com/probelane/probelane/benchmarks/internal/rows"
	"github.com/probelane/probelane/examples/flood"
)

//go:generate go tool easyjson -no_std_marshalers easy.go

// Clients are encoded as encoding/json does it.
//
//easyjson:json
type Clients flood.Clients

// Records are not: easyjson does not sort the keys of maps, and writes floats
// below 0.0001 with an exponent.
//
//easyjson:json
type Records rows.Records
