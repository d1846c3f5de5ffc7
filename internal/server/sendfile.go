package server

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"
	"time"
)

// ReadFrom keeps sendfile(2) for files, which http.ServeContent and io.Copy
// come to by way of the ResponseWriter. The rolling deadline holds here too.
//
// Whatever else r is goes through Write: a pipe or a connection may be slow
// itself, and time that passes while r has nothing must not count against the
// client.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	limited, ok := r.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	to, ok := c.Conn.(io.ReaderFrom)
	if !ok || !isRegular(limited.R) {
		return io.Copy(struct{ io.Writer }{c}, r)
	}
	c.limit(min(limited.N, littleSent+1))
	if c.observed.Load() {
		c.watch.begin(int(min(limited.N, math.MaxInt)))
		defer c.watch.end()
	}
	// The deadline may have passed while the connection was idle. Package net
	// would then not use sendfile but read, fail to write, and lose what it read.
	c.roll()
	var moved time.Time
	for sum := int64(0); ; {
		before := limited.N
		n, err := to.ReadFrom(limited)
		sum += n
		c.sent.Add(n)
		lost := before-limited.N != n
		if lost || !errors.Is(err, os.ErrDeadlineExceeded) || !c.mayGoOn(&moved, n > 0) {
			return sum, err
		}
	}
}

// isRegular reports whether r is a regular file as package net knows them: a
// *os.File or what io.Copy makes of it.
func isRegular(r io.Reader) bool {
	f, ok := r.(interface {
		syscall.Conn
		Stat() (fs.FileInfo, error)
	})
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}
