//go:build !linux

package encoder

import "testing"

// lastPage is memory like any other: only on Linux is nothing behind it.
func lastPage(testing.TB) []byte { return make([]byte, 64<<10) }
