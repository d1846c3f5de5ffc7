//go:build !amd64

package encoder

const (
	wide     = false
	wideRoom = 0
)

func appendWide(dst []byte, s string, html bool) []byte { return appendText(dst, s, 0, html) }
