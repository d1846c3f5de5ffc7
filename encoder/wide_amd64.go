package encoder

import (
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// wide is whether text is looked at 32 bytes at a time while it is copied.
// Except in virtual machines that hide it, nearly every amd64 since 2015 can.
var wide = cpu.X86.HasAVX2

// appendWide is appendText 32 bytes at a time.
func appendWide(dst []byte, s string, html bool) []byte {
	set := &wideSets[0]
	if !html {
		set = &wideSets[1]
	}
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for {
		if cap(dst)-len(dst) < len(b)+wideRoom {
			dst = slices.Grow(dst, len(b)+wideRoom)
		}
		room := dst[len(dst):cap(dst)]
		written, read, end := escapeWide(unsafe.SliceData(room), len(room), unsafe.SliceData(b), len(b), set)
		dst, b = dst[:len(dst)+written], b[read:]
		switch end {
		case wideDone:
			return dst
		case wideBroken:
			dst, b = appendBroken(dst, b, charsetFor(html))
		}
	}
}

// appendBroken appends characters up to the first that stands for itself, and
// returns what is left of b.
func appendBroken(dst, b []byte, set *charset) (_, rest []byte) {
	for len(b) > 0 {
		n := set.standsLen(b)
		if n > 0 {
			return append(dst, b[:n]...), b[n:]
		}
		dst, n = appendEscape(dst, b)
		b = b[n:]
	}
	return dst, b
}

// escapeWide writes the n bytes at s as they stand between quotation marks in
// JSON to dst, which has room for so many, until there is one of wideEnd. It
// returns how many bytes it has written and read, and stops between characters.
// What is in dst behind that is of no use. While it runs the scheduler cannot
// have the thread: half a µs for a piece of text, five if all of it is escaped.
//
//go:noescape
func escapeWide(dst *byte, room int, s *byte, n int, set *wideSet) (written, read int, end wideEnd)

// wideEnd is why escapeWide has returned.
type wideEnd uint8

const (
	wideDone   wideEnd = iota
	wideFull           // it needs more room
	wideBroken         // the next character is not UTF-8
)

// wideRoom is the room without which escapeWide begins no block: every byte of it
// may be escaped, and once more a block is written behind it.
const wideRoom = 32*6 + 32

// wideSet is what escapeWide looks things up in. It knows the order.
type wideSet struct {
	low, high [32]byte // a byte whose halves have a bit in common is escaped
	half      [32]byte // 0x0f

	// The sets of wrong pairs, by the halves of bytes: the first one's, and the
	// high one of the second.
	high1, low1, high2 [32]byte

	before3, before4 [32]byte // what leading bytes of three and of four are above by 0x80 or more
	lead             [32]byte // 0x80
	separator        [32]byte // the first byte of U+2028
	last, paragraph  [32]byte // the bit that U+2029 has more, and its last byte

	ones, _ [32]byte // from n bytes before the second on, ones for n bytes of a block
}

func wideSetOf(chars string) wideSet {
	s := wideSet{
		half:      block(0x0f),
		before3:   block(0xe0 - 0x80),
		before4:   block(0xf0 - 0x80),
		lead:      block(0x80),
		separator: block(0xe2),
		last:      block(0x01),
		paragraph: block(0xa9),
		ones:      block(0xff),
	}
	for b := range 0x80 {
		if b < ' ' || strings.IndexByte(chars, byte(b)) >= 0 {
			// Control characters fill rows 0 and 1; each other row has a bit of its own.
			bit := byte(1) << max(b>>4-1, 0)
			s.low[b&15] |= bit
			s.high[b>>4] |= bit
		}
	}
	for i, pairs := range wrongPairs {
		for half := range 16 {
			s.high1[half] |= byte(pairs.high1>>half&1) << i
			s.low1[half] |= byte(pairs.low1>>half&1) << i
			s.high2[half] |= byte(pairs.high2>>half&1) << i
		}
	}
	// Each half of a block has its own copy of what is looked up by half a byte.
	for _, table := range []*[32]byte{&s.low, &s.high, &s.high1, &s.low1, &s.high2} {
		copy(table[16:], table[:16])
	}
	return s
}

// wideSets are for HTML escaped and for HTML as it is.
var wideSets = [2]wideSet{wideSetOf(`"\<>&`), wideSetOf(`"\`)}

// wrongPairs are bytes that do not follow each other in UTF-8, one set to a bit.
// A pair is in a set by the halves of its bytes, of which each number here has a
// bit for every value: the high and the low half of the first byte, and the high
// half of the second.
//
// The last set is not wrong where a third or a fourth byte is due, and then the
// only one that is right.
var wrongPairs = [8]struct{ high1, low1, high2 uint16 }{
	{0xf000, 0xffff, 0xf0ff}, // a leading byte, and none that continues
	{0x00ff, 0xffff, 0x0f00}, // ASCII, and one that continues
	{0x1000, 0x0003, 0x0f00}, // less than two bytes are for
	{0x4000, 0x0001, 0x0300}, // less than three are for
	{0x4000, 0x2000, 0x0c00}, // surrogates
	{0x8000, 0xffe1, 0x0100}, // less than four are for, or more than Unicode has
	{0x8000, 0xfff0, 0x0e00}, // more than Unicode has
	{0x0f00, 0xffff, 0x0f00}, // two that continue
}

func block(b byte) (all [32]byte) {
	for i := range all {
		all[i] = b
	}
	return all
}
