package flood

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// bodyEdge is how many bytes at either end of a body are kept for comparison.
const bodyEdge = 16

// maxHead bounds the head of a response; net/http allows its clients 1 MiB by
// default, and no server here comes near 4 KB.
const maxHead = 64 << 10

var (
	errHeadTooLong = errors.New("flood: response head too long")
	errMalformed   = errors.New("flood: malformed response")
)

// response is what one reading leaves of a response.
type response struct {
	status     int
	retryAfter time.Duration // 0 without the header
	close      bool          // the server will close the connection, or has
	size       int64         // bytes of body
	head, tail [bodyEdge]byte
}

// responseReader reads HTTP/1.x responses from one connection. net/http's own
// client copies a body twice and dechunks it through a 4 KB buffer, which
// would make the load's core the bottleneck; this one reads straight into one
// large buffer and looks only at what frames the body.
type responseReader struct {
	src  io.Reader
	buf  []byte // what was read and not yet consumed is buf[r:w]
	r, w int

	body  func([]byte)       // sees every piece of the body, if set
	count func(received int) // told of every piece of a body, if set
}

// newResponseReader returns a reader with a buffer of the given size, which is
// also the most it takes in at one read.
func newResponseReader(src io.Reader, size int) *responseReader {
	return &responseReader{src: src, buf: make([]byte, size)}
}

// fill reads once into the free part of the buffer, which it makes if need be.
func (rr *responseReader) fill() error {
	if rr.r == rr.w {
		rr.r, rr.w = 0, 0
	} else if rr.w == len(rr.buf) {
		if rr.r == 0 {
			return errHeadTooLong
		}
		rr.w = copy(rr.buf, rr.buf[rr.r:rr.w])
		rr.r = 0
	}
	n, err := rr.src.Read(rr.buf[rr.w:])
	rr.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// read reads one response to its end. An error before the first byte of it is
// returned as it came; one in its midst that is an end of file becomes
// io.ErrUnexpectedEOF, so that a body cut short is never taken for a whole one.
func (rr *responseReader) read() (response, error) {
	for {
		var resp response
		started := rr.r < rr.w
		length, chunked, err := rr.readHead(&resp)
		if err != nil {
			if err == io.EOF && (started || rr.r < rr.w) {
				err = io.ErrUnexpectedEOF
			}
			return resp, err
		}
		if resp.status < 200 { // 100 Continue and 103 Early Hints announce another
			continue
		}
		switch {
		case resp.status == 204 || resp.status == 304:
		case chunked:
			err = rr.skipChunked(&resp)
		case length >= 0:
			err = rr.skip(&resp, length)
		default: // the end of the connection ends the body
			resp.close = true
			err = rr.skip(&resp, 1<<62)
			if err == io.EOF {
				return resp, nil
			}
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return resp, err
	}
}

// readHead reads status line and headers. A length of -1 stands for none.
func (rr *responseReader) readHead(resp *response) (length int64, chunked bool, err error) {
	length = -1
	first := true
	for read := 0; ; {
		line, err := rr.line()
		if err != nil {
			return length, chunked, err
		}
		if read += len(line) + 2; read > maxHead {
			return length, chunked, errHeadTooLong
		}
		if first {
			first = false
			// HTTP/1.1 200 OK
			if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
				return length, chunked, fmt.Errorf("%w: status line %.40q", errMalformed, line)
			}
			if resp.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return length, chunked, fmt.Errorf("%w: status line %.40q", errMalformed, line)
			}
			resp.close = line[7] == '0'
			continue
		}
		if len(line) == 0 {
			return length, chunked, nil
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return length, chunked, fmt.Errorf("%w: header %.40q", errMalformed, line)
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 {
				return length, chunked, fmt.Errorf("%w: Content-Length %.40q", errMalformed, value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			if bytes.EqualFold(value, []byte("close")) {
				resp.close = true
			} else if bytes.EqualFold(value, []byte("keep-alive")) {
				resp.close = false
			}
		case bytes.EqualFold(name, []byte("Retry-After")):
			if s, err := strconv.Atoi(string(value)); err == nil && s > 0 {
				resp.retryAfter = time.Duration(s) * time.Second
			}
		}
	}
}

// line returns the next line without its end. It is valid until the next read.
func (rr *responseReader) line() ([]byte, error) {
	for from := rr.r; ; {
		if i := bytes.IndexByte(rr.buf[from:rr.w], '\n'); i >= 0 {
			line := rr.buf[rr.r : from+i]
			rr.r = from + i + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		seen := rr.w - rr.r
		if err := rr.fill(); err != nil {
			return nil, err
		}
		from = rr.r + seen
	}
}

// skipChunked reads a chunked body and its trailers.
func (rr *responseReader) skipChunked(resp *response) error {
	for {
		line, err := rr.line()
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: chunk size %.40q", errMalformed, line)
		}
		if n == 0 {
			break
		}
		if err := rr.skip(resp, n); err != nil {
			return err
		}
		if line, err = rr.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return fmt.Errorf("%w: no line end after a chunk", errMalformed)
		}
	}
	for {
		if line, err := rr.line(); err != nil || len(line) == 0 {
			return err
		}
	}
}

// skip consumes n bytes of body.
func (rr *responseReader) skip(resp *response, n int64) error {
	for n > 0 {
		if rr.r == rr.w {
			if err := rr.fill(); err != nil {
				return err
			}
		}
		piece := rr.buf[rr.r:rr.w]
		if int64(len(piece)) > n {
			piece = piece[:n]
		}
		rr.r += len(piece)
		n -= int64(len(piece))
		resp.saw(piece)
		if rr.body != nil {
			rr.body(piece)
		}
		if rr.count != nil {
			rr.count(len(piece))
		}
	}
	return nil
}

// saw keeps the first and the last bytes of a body as it passes.
func (resp *response) saw(piece []byte) {
	if resp.size < bodyEdge {
		copy(resp.head[resp.size:], piece)
	}
	if len(piece) >= bodyEdge {
		copy(resp.tail[:], piece[len(piece)-bodyEdge:])
	} else {
		copy(resp.tail[:], resp.tail[len(piece):])
		copy(resp.tail[bodyEdge-len(piece):], piece)
	}
	resp.size += int64(len(piece))
}
