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
		end := textCut(s, i, min(c.limit-len(dst), len(s)-i))
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
	if plain(s, html) < len(s) {
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
		n := plain(s, html)
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
		n := plainUnicode(s, html)
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

func below(x uint64, b byte) uint64 { return (x - uint64(b)*ones) & ^x & highs }

// equals finds bytes that are b. With same set to a bit, they may differ in it.
func equals(x uint64, b byte, same uint64) uint64 {
	y := (x | same*ones) ^ (uint64(b)|same)*ones
	return (y - ones) & ^y & highs
}

// special finds the bytes of x that a JSON string cannot have as they are,
// among those below 0x80. Two pairs of letters differ in a single bit.
func special(x uint64, html bool) uint64 {
	found := below(x, ' ') | equals(x, '\\', 0)
	if html {
		return found | equals(x, '&', '&'^'"') | equals(x, '<', '<'^'>')
	}
	return found | equals(x, '"', 0)
}

// plain returns how many bytes from the start stand for themselves and are
// ASCII.
func plain(s string, html bool) int {
	i := 0
	if len(s) >= 8 {
		b := unsafe.Slice(unsafe.StringData(s), len(s))
		for ; i+8 <= len(b); i += 8 {
			x := binary.LittleEndian.Uint64(b[i:])
			if found := special(x, html) | x&highs; found != 0 {
				return i + bits.TrailingZeros64(found)/8
			}
		}
		if i < len(b) {
			// The last eight, some of them once more.
			i = len(b) - 8
			x := binary.LittleEndian.Uint64(b[i:])
			if found := special(x, html) | x&highs; found != 0 {
				return i + bits.TrailingZeros64(found)/8
			}
		}
		return len(s)
	}
	safe := safeFor(html)
	for i < len(s) && safe[s[i]] && s[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// plainUnicode is plain where everything beyond ASCII stands for itself.
func plainUnicode(s string, html bool) int {
	i := 0
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for ; i+8 <= len(b); i += 8 {
		if found := special(binary.LittleEndian.Uint64(b[i:]), html); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	safe := safeFor(html)
	for i < len(s) && safe[s[i]] {
		i++
	}
	return i
}

// safe are the bytes that stand for themselves, in text that may hold HTML
// and in text that may not.
var safe = [2][256]bool{safeBytes(`"\`), safeBytes(`"\<>&`)}

func safeBytes(special string) (safe [256]bool) {
	for b := range safe {
		safe[b] = b >= ' ' && strings.IndexByte(special, byte(b)) < 0
	}
	return safe
}

func safeFor(html bool) *[256]bool {
	if html {
		return &safe[1]
	}
	return &safe[0]
}
