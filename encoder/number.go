package encoder

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// appendFloat64 appends f, which is finite, as encoding/json does: with the
// fewest digits that lead back to f.
//
// A number of up to 15 digits is the only one of them that leads to its float64
// (C calls that DBL_DIG), so who finds one has found the shortest. Most numbers
// in real data have few digits behind the point, and finding those costs a
// division, which IEEE 754 rounds as a reader would: a third of what
// strconv's search takes.
func appendFloat64(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs < 1<<53 && float64(int64(abs)) == abs {
		return appendUint(appendSign(dst, f), uint64(int64(abs)))
	}
	if abs < 1e9 {
		if m := int64(abs*1e6 + 0.5); float64(m)/1e6 == abs {
			return appendMillionths(appendSign(dst, f), uint64(m))
		}
	}
	return appendShortest(dst, f, abs < 1e-6 || abs >= 1e21, 64)
}

// appendFloat32 appends f, which is finite, as encoding/json does. A float32
// knows all numbers of six digits (FLT_DIG).
func appendFloat32(dst []byte, f float32) []byte {
	abs := max(f, -f)
	if abs < 1<<24 && float32(int32(abs)) == abs {
		return appendUint(appendSign(dst, float64(f)), uint64(int32(abs)))
	}
	if abs < 1e3 {
		if m := int32(abs*1e3 + 0.5); float32(m)/1e3 == abs && m < 1e6 {
			return appendMillionths(appendSign(dst, float64(f)), uint64(m)*1e3)
		}
	}
	return appendShortest(dst, float64(f), abs < 1e-6 || abs >= 1e21, 32)
}

func appendSign(dst []byte, f float64) []byte {
	if math.Signbit(f) {
		return append(dst, '-')
	}
	return dst
}

// appendMillionths appends m/1e6, which is no whole number.
func appendMillionths(dst []byte, m uint64) []byte {
	dst = appendUint(dst, m/1e6)
	six := (eightDigits(m%1e6) | zeros) >> 16 // the first digit is the lowest byte
	n := (bits.Len64(six^zeros>>16) + 7) / 8  // without zeros at the end
	return binary.LittleEndian.AppendUint64(dst, '.'|six<<8)[:len(dst)+1+n]
}

// appendShortest leaves it to strconv.
func appendShortest(dst []byte, f float64, exponent bool, bits int) []byte {
	if !exponent {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	// encoding/json writes e-9 where strconv writes e-09.
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendUint writes where the digits will stay; strconv writes elsewhere first,
// which makes it half as fast.
func appendUint(dst []byte, u uint64) []byte {
	if u < 10 {
		return append(dst, byte('0'+u))
	}
	if u >= 1e8 {
		q := u / 1e8
		return binary.LittleEndian.AppendUint64(appendUint(dst, q), eightDigits(u-q*1e8)|zeros)
	}
	d := eightDigits(u)
	leading := bits.TrailingZeros64(d) / 8
	return binary.LittleEndian.AppendUint64(dst, (d|zeros)>>(8*leading))[:len(dst)+8-leading]
}

// zeros are eight of the letter 0.
const zeros = 0x3030303030303030

// eightDigits returns the digits of u, which is less than 1e8, a byte each; the
// first is the lowest. It halves numbers side by side in one word, without a
// branch: to divide, it multiplies by the reciprocal, which is exact for numbers
// as short as these.
func eightDigits(u uint64) uint64 {
	first := u / 1e4
	x := first | (u-first*1e4)<<32 // two of four digits
	q := x * 10486 >> 20 & 0x7f_0000007f
	x = q | (x-q*100)<<16 // four of two
	q = x * 103 >> 10 & 0x0f_000f_000f_000f
	return q | (x-q*10)<<8
}

func appendInt(dst []byte, i int64) []byte {
	if i < 0 {
		return appendUint(append(dst, '-'), -uint64(i))
	}
	return appendUint(dst, uint64(i))
}

// validNumber reports whether a json.Number is one. An empty one is not: it is
// written as 0.
func validNumber(s string) bool {
	run := func(i int) int {
		for i < len(s) && s[i]-'0' <= 9 {
			i++
		}
		return i
	}
	at := func(i int, set string) bool {
		for j := range len(set) {
			if i < len(s) && s[i] == set[j] {
				return true
			}
		}
		return false
	}
	i := 0
	if at(i, "-") {
		i++
	}
	whole := i
	if i = run(i); i == whole || i > whole+1 && s[whole] == '0' {
		return false
	}
	if at(i, ".") {
		point := i + 1
		if i = run(point); i == point {
			return false
		}
	}
	if at(i, "eE") {
		if i++; at(i, "+-") {
			i++
		}
		exponent := i
		if i = run(i); i == exponent {
			return false
		}
	}
	return i == len(s)
}
