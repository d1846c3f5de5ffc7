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
		dst = appendText(dst, piece, plain(piece, html, false), html)
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
	if len(s) >= minWide {
		copy(dst, s)
		return plainWide(s, html, false)
	}
	set := &sets[0]
	if html {
		set = &sets[1]
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	switch n := len(b); {
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
	return plainTail(s, 0, html, false)
}

// escapes are what stands for the bytes below 0x80 that cannot stand for
// themselves.
var escapes = func() (e [utf8.RuneSelf]string) {
	for b := range e {
		e[b] = fmt.Sprintf(`\u%04x`, b)
	}
	for b, short := range map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`} {
		e[b] = short
	}
	return e
}()

// appendText appends what is between the quotation marks of a JSON string. The
// first n bytes are known to stand for themselves.
func appendText(dst []byte, s string, n int, html bool) []byte {
	next := -1 // the next separator, once it has been looked for
	for i := 0; ; n = plain(s[i:], html, false) {
		dst = append(dst, s[i:i+n]...)
		if i += n; i == len(s) {
			return dst
		}
		if b := s[i]; b < utf8.RuneSelf {
			dst = append(dst, escapes[b]...)
			i++
			continue
		}
		if next < i {
			next = separator(s, i)
		}
		n = wellFormed(s[i:next])
		switch {
		case n > 0:
			dst = appendUnicode(dst, s[i:i+n], html)
			i += n
		case i < next:
			dst = append(dst, `\ufffd`...)
			i++
		default:
			dst = append(dst, `\u202`...)
			dst = append(dst, '8'+s[i+2]-'\xa8')
			i += len("\u2028")
		}
	}
}

// separator returns where the first U+2028 or U+2029 from i on is. What serves
// as a line's end in JavaScript is escaped.
func separator(s string, i int) int {
	const start = "\xe2\x80" // of dashes, too, and quotation marks
	for {
		at := strings.Index(s[i:], start)
		if at < 0 {
			return len(s)
		}
		if i += at; i+2 < len(s) && s[i+2]&^1 == '\xa8' {
			return i
		}
		i += len(start)
	}
}

// wellFormed returns how many bytes from the start are UTF-8.
func wellFormed(s string) int {
	if utf8.ValidString(s) {
		return len(s)
	}
	for i := 0; ; {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

// appendUnicode is appendText for what is well-formed.
func appendUnicode(dst []byte, s string, html bool) []byte {
	for {
		n := plain(s, html, true)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		dst = append(dst, escapes[s[n]]...)
		s = s[n+1:]
	}
}

// charset is what cannot stand for itself besides control characters: a
// backslash, and two more bytes of which a bit is ignored. Eight bytes are
// looked at together, as one number, so each is there eight times.
type charset struct{ ignore1, byte1, ignore2, byte2 uint64 }

const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// sets are without HTML and with it. The letters of two pairs differ in a
// single bit.
var sets = [2]charset{
	{0, '"' * ones, 0, '"' * ones},
	{('"' ^ '&') * ones, ('"' | '&') * ones, ('<' ^ '>') * ones, ('<' | '>') * ones},
}

// special returns the highest bits of the bytes of x that are of the set, or
// not ASCII. A borrow may also set that of a byte above one, but not below.
func (c *charset) special(x uint64) uint64 {
	return (c.ascii(x) | x) & highs
}

// ascii is special for those that are ASCII, with other bits set as well.
func (c *charset) ascii(x uint64) uint64 {
	return ((x - ' '*ones) &^ x) | zero(x^'\\'*ones) | zero((x|c.ignore1)^c.byte1) | zero((x|c.ignore2)^c.byte2)
}

// zero finds the bytes of x that are zero.
func zero(x uint64) uint64 { return (x - ones) &^ x }

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
	set, beyond := &sets[0], uint64(highs)
	if html {
		set = &sets[1]
	}
	if unicode {
		beyond = 0
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if found := set.ascii(x)&highs | x&beyond; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	return plainTail(s, i, html, unicode)
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
