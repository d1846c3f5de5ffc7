package encoder

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
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
		piece, html := s[i:end], !c.format.plainHTML
		if wide {
			dst = appendWide(dst, piece, html)
		} else {
			dst = appendText(dst, piece, 0, html)
		}
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
	if wide {
		return append(appendWide(append(dst, '"'), s, html), '"')
	}
	at := len(dst)
	n := at + len(s) + 2
	if cap(dst) < n {
		dst = slices.Grow(dst, len(s)+2)
	}
	dst = dst[:n]
	dst[at] = '"'
	if clean := copyPlain(dst[at+1:n-1], s, html); clean < len(s) {
		return append(appendText(dst[:at+1], s, clean, html), '"')
	}
	dst[n-1] = '"'
	return dst
}

// copyPlain copies s to dst, which is as long, while its bytes stand for
// themselves and are ASCII. It returns how many do. What comes behind them in
// dst is of no use.
func copyPlain(dst []byte, s string, html bool) int {
	set := charsetFor(html)
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	switch n := len(b); {
	case n > 16: // more than can be looked at without a loop
		n = set.skip(b, 0)
		copy(dst, b[:n])
		return n
	case n >= 8:
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
		binary.LittleEndian.PutUint64(dst, x)
		binary.LittleEndian.PutUint64(dst[n-8:], y)
		if set.special(x)|set.special(y) == 0 {
			return n
		}
	case n >= 4:
		x, y := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[n-4:])
		binary.LittleEndian.PutUint32(dst, x)
		binary.LittleEndian.PutUint32(dst[n-4:], y)
		if set.special(uint64(x)|uint64(y)<<32) == 0 {
			return n
		}
	default:
		copy(dst, b)
	}
	return set.skip(b, 0)
}

// appendText appends what is between the quotation marks of a JSON string. The
// first i bytes are known to stand for themselves.
func appendText(dst []byte, s string, i int, html bool) []byte {
	set := charsetFor(html)
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	start := 0 // of what has not been appended yet
	for {
		i = set.skip(b, i)
		for i+4 <= len(b) && b[i] >= utf8.RuneSelf {
			// Characters of two and three bytes are nearly all there are, and are
			// looked at here a few times faster than by decoding them.
			x := binary.LittleEndian.Uint32(b[i:])
			switch lead := x & 0xff; {
			case x&0xc0c0f0 == 0x8080e0 && lead != 0xe0 && lead != 0xed && x&0xfeffff != separators:
				i += 3
				continue
			case x&0xc0e0 == 0x80c0 && lead >= 0xc2:
				i += 2
				continue
			}
			n := set.standsLen(b[i:])
			if n == 0 {
				break
			}
			i += n
		}
		if i == len(b) {
			return append(dst, b[start:]...)
		}
		n := set.standsLen(b[i:])
		if n == 0 {
			dst = append(dst, b[start:i]...)
			dst, n = appendEscape(dst, b[i:])
			start = i + n
		}
		i += n
	}
}

// separators are U+2028 and U+2029, which end a line in JavaScript, as the bytes
// of a number without the bit that they differ in.
const separators = 0xa880e2

// standsLen returns the length of the first character of b, or 0 if it does not
// stand for itself.
func (c *charset) standsLen(b []byte) int {
	if c.stands[b[0]] {
		return 1
	}
	r, size := utf8.DecodeRune(b)
	if size == 1 || r == '\u2028' || r == '\u2029' {
		return 0
	}
	return size
}

// appendEscape appends what stands for the first character of b, which cannot
// stand for itself, and returns its size.
func appendEscape(dst, b []byte) ([]byte, int) {
	if c := b[0]; c < utf8.RuneSelf {
		e := &escapes[c]
		dst = append(dst, e.text[:]...) // eight bytes are one instruction
		return dst[:len(dst)-len(e.text)+e.len], 1
	}
	r, size := utf8.DecodeRune(b)
	switch {
	case size == 1:
		return append(dst, `\ufffd`...), 1
	case r == '\u2028':
		return append(dst, `\u2028`...), size
	}
	return append(dst, `\u2029`...), size
}

// escapes are what stands for the bytes below 0x80 that cannot stand for
// themselves. escapeWide knows the order.
var escapes = func() (e [utf8.RuneSelf]struct {
	text [8]byte
	len  int
}) {
	short := map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	for b := range e {
		text, ok := short[byte(b)]
		if !ok {
			text = fmt.Sprintf(`\u%04x`, b)
		}
		e[b].len = copy(e[b].text[:], text)
	}
	return e
}()

// charset is what cannot stand for itself besides control characters: a
// backslash, and two more bytes of which a bit is ignored. Eight bytes are
// looked at together, as one number, so each is there eight times.
type charset struct {
	ignore1, byte1 uint64
	ignore2, byte2 uint64
	stands         [256]bool // the same for a single byte
}

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// sets are for HTML escaped and for HTML as it is, in the order of format.html.
// The letters of two pairs differ in a single bit.
var sets = [2]charset{
	{('"' ^ '&') * ones, ('"' | '&') * ones, ('<' ^ '>') * ones, ('<' | '>') * ones, standing(`"\<>&`)},
	{0, '"' * ones, 0, '"' * ones, standing(`"\`)},
}

func standing(special string) (stands [256]bool) {
	for b := ' '; b < utf8.RuneSelf; b++ {
		stands[b] = !strings.ContainsRune(special, b)
	}
	return stands
}

func charsetFor(html bool) *charset {
	if html {
		return &sets[0]
	}
	return &sets[1]
}

// special returns the highest bits of the bytes of x that are of the set, or
// not ASCII. A borrow may also set that of a byte above one, but not below.
func (c *charset) special(x uint64) uint64 {
	return (((x - ' '*ones) &^ x) | zero(x^'\\'*ones) | zero((x|c.ignore1)^c.byte1) | zero((x|c.ignore2)^c.byte2) | x) & highs
}

// zero finds the bytes of x that are zero.
func zero(x uint64) uint64 { return (x - ones) &^ x }

// skip returns where the first byte from i on is that is of the set, or not
// ASCII.
func (c *charset) skip(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if found := c.special(binary.LittleEndian.Uint64(b[i:])); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(b) && c.stands[b[i]] {
		i++
	}
	return i
}
