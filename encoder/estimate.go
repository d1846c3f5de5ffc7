package encoder

import "math"

// estimate is about how many bytes the whole value is going to be, written of
// which the cursor has appended. It takes it that the rest of each slice and
// array is like what came before, and without any that as much is to come.
func (c *cursor) estimate(written int) int {
	if len(c.stack) == 0 {
		return written
	}
	known, done := false, 1.0 // part of the innermost container that is past
	for k := len(c.stack) - 1; k >= 0; k-- {
		f := &c.stack[k]
		if f.run == nil {
			continue // fields and entries are too different to be counted
		}
		past := float64(f.i)
		if k < len(c.stack)-1 && f.i > 0 {
			past += done - 1 // it is still in the last of them
		}
		known, done = true, past/float64(f.n)
	}
	if !known || done == 0 {
		return 2 * written
	}
	return int(min(float64(written)/done, math.MaxInt/2))
}
