package encoder

import (
	"encoding/base64"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// longText is the length from which a string or a byte slice may be cut. Short
// ones are not worth a look at the quantum.
const longText = 1 << 10

// textPiece is how much of a long string is looked at before its escapes, six
// letters for one at the most, can have filled a quantum.
const textPiece = 4 << 10

// string appends a string, in as many quanta as it takes.
func (c *cursor) string(dst []byte, s string) []byte {
	if len(s) < longText {
		return appendString(dst, s, !c.format.plainHTML)
	}
	return c.text(append(dst, '"'), s, 0)
}

// text appends the rest of a long string, from i on, and the quotation mark.
func (c *cursor) text(dst []byte, s string, i int) []byte {
	for i < len(s) {
		if c.full(dst) {
			return c.pause(dst, frame{at: atText, x: unsafe.Pointer(unsafe.StringData(s)), i: i, n: len(s)})
		}
		end := textCut(s, i, min(c.limit-len(dst), len(s)-i, textPiece))
		dst = appendText(dst, s[i:end], !c.format.plainHTML)
		i = end
	}
	return append(dst, '"')
}

// textCut returns where s may be cut about n bytes after i: not inside a
// character, and not before there is one.
func textCut(s string, i, n int) int {
	end := i + n
	for back := 1; back < utf8.UTFMax && end < len(s) && end-back >= i; back++ {
		if b := s[end-back]; utf8.RuneStart(b) {
			if _, size := utf8.DecodeRuneInString(s[end-back:]); size > back {
				return end - back + size
			}
			break
		}
	}
	return end
}

// base64 appends the rest of a byte slice, from i on, and the quotation mark.
func (c *cursor) base64(dst []byte, b []byte, i int) []byte {
	for len(b)-i > longText {
		if c.full(dst) {
			return c.pause(dst, frame{at: atBytes, x: unsafe.Pointer(unsafe.SliceData(b)), i: i, n: len(b)})
		}
		// Three bytes are four letters; only the last group may be shorter.
		end := i + min((c.limit-len(dst))/4*3+3, (len(b)-i)/3*3)
		dst = base64.StdEncoding.AppendEncode(dst, b[i:end])
		i = end
	}
	dst = base64.StdEncoding.AppendEncode(dst, b[i:])
	return append(dst, '"')
}

// appendString appends s as a JSON string. With html <, > and & are escaped.
func appendString(dst []byte, s string, html bool) []byte {
	if plain(s, html, false) < len(s) {
		return append(appendText(append(dst, '"'), s, html), '"')
	}
	n := len(dst)
	dst = slices.Grow(dst, len(s)+2)[:n+len(s)+2]
	dst[n] = '"'
	copy(dst[n+1:], s)
	dst[len(dst)-1] = '"'
	return dst
}

// appendText appends what is between the quotation marks of a JSON string.
func appendText(dst []byte, s string, html bool) []byte {
	const hex = "0123456789abcdef"
	for len(s) > 0 {
		n := plain(s, html, false)
		if n < len(s) && s[n] >= utf8.RuneSelf && wellFormed(s[n:]) {
			return appendUnicode(dst, s, html)
		}
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		b := s[n]
		size := 1
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b == '\b':
			dst = append(dst, `\b`...)
		case b == '\f':
			dst = append(dst, `\f`...)
		case b == '\n':
			dst = append(dst, `\n`...)
		case b == '\r':
			dst = append(dst, `\r`...)
		case b == '\t':
			dst = append(dst, `\t`...)
		case b < utf8.RuneSelf:
			dst = append(dst, `\u00`...)
			dst = append(dst, hex[b>>4], hex[b&0xf])
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[n:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, `\u202`...)
				dst = append(dst, hex[r&0xf])
			default:
				dst = append(dst, s[n:n+size]...)
			}
		}
		s = s[n+size:]
	}
	return dst
}

// wellFormed reports whether all characters of s beyond ASCII stand for
// themselves.
func wellFormed(s string) bool {
	return utf8.ValidString(s) && !strings.Contains(s, "\u2028") && !strings.Contains(s, "\u2029")
}

// appendUnicode is appendText for what is well-formed.
func appendUnicode(dst []byte, s string, html bool) []byte {
	for {
		n := plain(s, html, true)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		dst = appendText(dst, s[n:n+1], html)
		s = s[n+1:]
	}
}

// Eight bytes are looked at together, as one number. What is wanted of a byte
// ends up in its highest bit; a borrow may also set that of a byte above it, but
// only the lowest counts.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// zero finds the bytes of x that are zero.
func zero(x uint64) uint64 { return (x - ones) &^ x }

// special finds the bytes below 0x80 that a JSON string cannot have as they
// are.
func special(x uint64) uint64 {
	return ((x - ' '*ones) &^ x) | zero(x^'\\'*ones) | zero(x^'"'*ones)
}

// specialHTML is special where HTML is escaped, too. The letters of two pairs
// differ in a single bit.
func specialHTML(x uint64) uint64 {
	return ((x - ' '*ones) &^ x) | zero(x^'\\'*ones) |
		zero((x|('"'^'&')*ones)^('"'|'&')*ones) | zero((x|('<'^'>')*ones)^('<'|'>')*ones)
}

// plain returns how many bytes from the start stand for themselves. With
// unicode those beyond ASCII do.
func plain(s string, html, unicode bool) int {
	if len(s) >= minWide {
		return plainWide(s, html, unicode)
	}
	return plainWords(s, html, unicode)
}

// plainWords is plain eight bytes at a time.
func plainWords(s string, html, unicode bool) int {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	n := len(b)
	i := 0
	for ; i+8 <= n; i += 8 {
		if found := flagged(binary.LittleEndian.Uint64(b[i:]), html, unicode); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	// What is left is looked at together with some of what is in front of it.
	switch {
	case i == n:
		return n
	case n >= 8:
		i = n - 8
		if flagged(binary.LittleEndian.Uint64(b[i:]), html, unicode) == 0 {
			return n
		}
	case n >= 4:
		x := uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
		if flagged(x, html, unicode) == 0 {
			return n
		}
	}
	return plainTail(s, i, html, unicode)
}

// flagged returns the highest bits of the bytes that do not stand for
// themselves.
func flagged(x uint64, html, unicode bool) uint64 {
	var found uint64
	if html {
		found = specialHTML(x)
	} else {
		found = special(x)
	}
	if !unicode {
		found |= x
	}
	return found & highs
}

// plainTail is plain from i on, byte by byte.
func plainTail(s string, i int, html, unicode bool) int {
	way := 0
	if unicode {
		way = 1
	}
	if html {
		way += 2
	}
	for table := &stands[way]; i < len(s) && table[s[i]]; {
		i++
	}
	return i
}

// stands says which bytes stand for themselves, for each way to ask plain.
var stands = [4][256]bool{
	standing(`"\`, utf8.RuneSelf), standing(`"\`, 256),
	standing(`"\<>&`, utf8.RuneSelf), standing(`"\<>&`, 256),
}

func standing(special string, end int) (stands [256]bool) {
	for b := ' '; int(b) < end; b++ {
		stands[b] = !strings.ContainsRune(special, b)
	}
	return stands
}
