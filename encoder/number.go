package encoder

import (
	"math"
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
	if abs < 1<<53 && float64(uint64(abs)) == abs {
		return strconv.AppendUint(appendSign(dst, f), uint64(abs), 10)
	}
	if abs < 1e9 {
		if m := uint64(abs*1e3 + 0.5); float64(m)/1e3 == abs {
			return appendDecimal(appendSign(dst, f), m, 1e3)
		}
		if m := uint64(abs*1e6 + 0.5); float64(m)/1e6 == abs {
			return appendDecimal(appendSign(dst, f), m, 1e6)
		}
	}
	return appendShortest(dst, f, abs < 1e-6 || abs >= 1e21, 64)
}

// appendFloat32 appends f, which is finite, as encoding/json does. A float32
// knows all numbers of six digits (FLT_DIG).
func appendFloat32(dst []byte, f float32) []byte {
	abs := max(f, -f)
	if abs < 1<<24 && float32(uint32(abs)) == abs {
		return strconv.AppendUint(appendSign(dst, float64(f)), uint64(abs), 10)
	}
	if abs < 1e3 {
		if m := uint32(abs*1e3 + 0.5); float32(m)/1e3 == abs && m < 1e6 {
			return appendDecimal(appendSign(dst, float64(f)), uint64(m), 1e3)
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

// appendDecimal appends m/scale, which is no whole number. The scale is a power
// of ten.
func appendDecimal(dst []byte, m, scale uint64) []byte {
	dst = strconv.AppendUint(dst, m/scale, 10)
	m %= scale
	dst = append(dst, '.')
	for m > 0 {
		scale /= 10
		dst = append(dst, byte('0'+m/scale))
		m %= scale
	}
	return dst
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

// validNumber reports whether a json.Number is one. An empty one is not: it is
// written as 0.
func validNumber(s string) bool {
	digits := func(i int) int {
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
	if i = digits(i); i == whole || i > whole+1 && s[whole] == '0' {
		return false
	}
	if at(i, ".") {
		point := i + 1
		if i = digits(point); i == point {
			return false
		}
	}
	if at(i, "eE") {
		if i++; at(i, "+-") {
			i++
		}
		exponent := i
		if i = digits(i); i == exponent {
			return false
		}
	}
	return i == len(s)
}
