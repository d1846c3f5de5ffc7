package flood

import (
	"context"
	"io"
	"time"
)

// slowReadSize is what a slow client takes in at one read: at 0.5 MB/s about
// thirty reads a second, which is even enough and costs next to nothing.
const slowReadSize = 16 << 10

// pacedReader reads no faster than a rate, as a client on a slow line does.
type pacedReader struct {
	ctx   context.Context
	src   io.Reader
	rate  int // bytes per second
	start time.Time
	read  int64
}

func newPacedReader(ctx context.Context, src io.Reader, rate int) *pacedReader {
	return &pacedReader{ctx: ctx, src: src, rate: rate}
}

func (p *pacedReader) Read(b []byte) (int, error) {
	now := time.Now()
	due := p.start.Add(time.Duration(float64(p.read) / float64(p.rate) * float64(time.Second)))
	if now.After(due) {
		// The server was slower than the line: what was missed is not made up
		// for, or a burst at full speed would follow every wait.
		p.start, p.read = now, 0
	}
	pause(p.ctx, due.Sub(now))
	n, err := p.src.Read(b)
	p.read += int64(n)
	return n, err
}
