//go:build !linux

package flood

// ReadMemory returns ErrNoMemory here.
func ReadMemory(int) (Memory, error) { return Memory{}, ErrNoMemory }
