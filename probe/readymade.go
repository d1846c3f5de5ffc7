package probe

import "context"

// The ready-made checks (Ping, TCP, HTTP, DNS, File, Goroutines) hold nothing
// between two runs: no connection, no file, no goroutine. An argument that makes no sense fails every run, with an error that
// says what to change.

// mistaken is a check that was given an argument that makes no sense.
func mistaken(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}
