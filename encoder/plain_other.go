//go:build !amd64

package encoder

// minWide and plainWide: eight bytes are as wide as it gets here.
const minWide = 8

func plainWide(s string, html bool) int { return plainWords(s, html) }
