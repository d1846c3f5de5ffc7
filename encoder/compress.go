package encoder

import (
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// A Compression is a format that output can be compressed in. The zero
// Compression is none.
type Compression uint8

const (
	Gzip Compression = iota + 1 // RFC 1952
	Zstd                        // RFC 8878
)

// String returns the format's name as an HTTP content coding.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	}
	return "identity"
}

// Compressed has the output compressed, a quantum of JSON at a time and by
// whoever encodes that. A value that is complete in its first quantum and
// shorter than least bytes is written as it is, and so is an empty one. All that
// counts bytes of output then counts compressed ones: what Encode returns, the
// hold, and SetSize. Only Encode compresses; Marshal and MarshalInline ignore it.
//
// If the output is compressed and the writer has a method Compressed(int64), it
// is called before the first write, and again with every piece of output, with
// how many bytes of JSON have been compressed until then.
//
// From its first turn to its last a compressed value holds a compressor of
// about 0.8 MB, besides segments of 64 KB in place of those of the write size.
func Compressed(c Compression, least int) EncodeOption {
	return func(f format) format { f.compression, f.least = c, max(least, 1); return f }
}

const (
	// gzipLevel takes 40 to 60 µs for 64 KB of clients (examples/flood), which
	// it makes 34 times shorter, and 0.1 to 0.5 ms for records, trees of maps and
	// floats, the slowest. Level 2 gains 9 % on clients, for a fifth more time;
	// from level 3 on it takes twice as long. The level without state is slower
	// on clients by half, and would save a value that waits for its client 0.8 MB.
	gzipLevel = gzip.BestSpeed
	// zstdLevel takes 40 to 80 µs for the same, makes clients 99 times shorter,
	// and takes less than 0.4 ms for the others. The next one takes 1.2 to 7
	// times as long, and gains nothing.
	zstdLevel = zstd.SpeedFastest
	// zstdWindow is how far back zstd looks, and how much it compresses at
	// once: about a quantum. Twice as much gains 8 % on clients and nothing on
	// the others. It is also what a client needs to read it; RFC 9659 allows 8 MB.
	zstdWindow = 64 << 10
	// compressedWriteSize is how much compressed output is handed to the writer
	// at once, unless the write size is less. It stands for 0.1 to 6 MB of JSON,
	// which took far longer than the write.
	compressedWriteSize = 64 << 10
)

// compressor is a gzip or zstd stream that leaves its output in a slice. None
// of them starts a goroutine.
type compressor struct {
	stream interface {
		io.WriteCloser
		Flush() error
		Reset(io.Writer)
	}
	out []byte
}

// compressors are kept for reuse: to make one and compress 2 KB takes ten times
// as long as to compress them.
var compressors = [...]sync.Pool{
	Gzip: {New: func() any {
		z, err := gzip.NewWriterLevel(nil, gzipLevel)
		if err != nil {
			panic("encoder: " + err.Error())
		}
		return &compressor{stream: z}
	}},
	Zstd: {New: func() any {
		z, err := zstd.NewWriter(nil,
			zstd.WithEncoderLevel(zstdLevel),
			zstd.WithEncoderConcurrency(1), // on the goroutine that writes
			zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow),
			zstd.WithAllLitEntropyCompression(true), // floats, too, in which hardly anything repeats
			zstd.WithZeroFrames(true))               // nothing is a stream, too
		if err != nil {
			panic("encoder: " + err.Error())
		}
		return &compressor{stream: z}
	}},
}

// Write is for the stream.
func (z *compressor) Write(b []byte) (int, error) {
	z.out = append(z.out, b...)
	return len(b), nil
}

// append compresses json and appends to dst what comes out of it. The last
// call ends the stream; with flush, dst has all that went in.
func (z *compressor) append(dst, json []byte, flush, last bool) ([]byte, error) {
	z.out = dst
	_, err := z.stream.Write(json)
	switch {
	case err != nil:
	case last:
		err = z.stream.Close()
	case flush:
		err = z.stream.Flush()
	}
	dst, z.out = z.out, nil
	return dst, err
}

// compression stands between a job's cursor and its segments.
type compression struct {
	kind     Compression
	z        *compressor // nil until there is a turn for it: many jobs may be waiting for their first
	most     int         // bytes of JSON in a turn
	pool     *segmentPool
	json     *segment // encoded, but not yet compressed; nil if there is none
	from     int      // in json; what is before that has been compressed
	complete bool     // nothing comes after json
	done     int64    // bytes of JSON that have been compressed
}

// maxTurn is how many bytes of JSON are compressed in one turn at the most: what
// can be cut rarely makes more of a quantum.
func (e *Encoder) maxTurn() int { return e.cfg.quantum + e.cfg.quantum/2 }

// fill encodes about a quantum and compresses it into s. What is still there
// from before comes first: a marshaler's output may be long.
func (c *compression) fill(s *segment, from *cursor) (complete bool, err error) {
	if c.json == nil {
		c.json = c.pool.get()
		if c.complete, err = from.fill(c.json); err != nil {
			return false, err
		}
	}
	if c.z == nil {
		c.z = compressors[c.kind].Get().(*compressor)
		c.z.stream.Reset(c.z) // whatever was left undone
	}
	json := c.json.buf[c.from:min(len(c.json.buf), c.from+c.most)]
	c.from += len(json)
	last := c.from == len(c.json.buf)
	if s.buf, err = c.z.append(s.buf, json, last && from.flush, last && c.complete); err != nil {
		return false, err
	}
	c.done += int64(len(json))
	s.json = c.done
	if !last {
		return false, nil
	}
	c.json.free()
	c.json, c.from = nil, 0
	return c.complete, nil
}

// release gives up what c holds, however far it has come.
func (c *compression) release() {
	if c.json != nil {
		c.json.free()
	}
	if c.z != nil {
		c.z.out = nil
		compressors[c.kind].Put(c.z)
	}
}
