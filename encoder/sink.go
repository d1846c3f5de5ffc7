package encoder

import "io"

// sink is where Encode's segments go. It holds back the first of them, so that
// a response that ends early has a length, and one that fails early has
// nothing to take back.
type sink struct {
	w       io.Writer
	hold    int
	first   *segment // the first quantum, until it is clear what follows
	held    []*segment
	size    int // bytes held
	flowing bool
	written int64

	compressed bool
	json       int64 // that the written is, if it is compressed
}

// put takes over a segment that others follow, and writes it unless it may
// still be held.
func (s *sink) put(seg *segment) error {
	s.announce(seg)
	if s.flowing {
		return s.write(seg)
	}
	s.keep(seg)
	if s.size <= s.hold && !seg.flush {
		return nil
	}
	return s.flow()
}

// announce tells the writer of compressed output before it comes.
func (s *sink) announce(seg *segment) {
	if !s.compressed {
		return
	}
	if w, ok := s.w.(interface{ Compressed(int64) }); ok {
		w.Compressed(seg.json)
	}
}

func (s *sink) keep(seg *segment) {
	s.held = append(s.held, seg)
	s.size += len(seg.buf)
}

// flow writes all that is held; from then on nothing is.
func (s *sink) flow() error {
	s.flowing = true
	for len(s.held) > 0 {
		seg := s.held[0]
		s.held = s.held[1:]
		if err := s.write(seg); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) write(seg *segment) error {
	defer seg.free() // also when the writer panics
	n, err := s.w.Write(seg.buf)
	s.written += int64(n)
	s.json = seg.json
	if err == nil && n < len(seg.buf) {
		err = io.ErrShortWrite
	}
	if f, ok := s.w.(interface{ Flush() }); ok && seg.flush && err == nil {
		f.Flush()
	}
	return err
}

// finish takes over the last segment.
func (s *sink) finish(last *segment) error {
	s.announce(last)
	if s.flowing {
		return s.write(last)
	}
	s.keep(last)
	if w, ok := s.w.(interface{ SetSize(int64) }); ok {
		w.SetSize(int64(s.size))
	}
	return s.flow()
}

// discard gives back what was held for nothing.
func (s *sink) discard() {
	s.first.free()
	freeAll(s.held)
	s.first, s.held = nil, nil
}
