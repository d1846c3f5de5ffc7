package server

import (
	"os"
	"time"
)

// upload is who reads from an HTTP/1 connection on which the body of a request
// is arriving.
type upload int

const (
	noUpload   upload = iota // no body arrives, or somebody else has set a deadline for it
	leftAlone                // nobody: the handler does other things
	forHandler               // the handler
	forServer                // net/http, what the handler has left
	ended                    // nobody any more: it has stalled
)

// beginUpload gives the connection a rolling read deadline until the body that
// begins to arrive is complete, or somebody sets another deadline. These two
// look alike, since net/http clears the deadline when it has read a body to
// its end and begins to wait for the client's leaving, and so it does for
// whoever hijacks the connection. Hence nothing that waits after a body, or
// without one, ever meets this deadline.
func (c *Conn) beginUpload(stall time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.upload, c.readStall = leftAlone, stall
}

// handlerReads notes that a Read of the handler's begins or is over.
func (c *Conn) handlerReads(begins bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.upload == noUpload || c.upload == ended:
	case begins:
		c.upload = forHandler
	default:
		c.upload = leftAlone
	}
}

// endUpload fails reads of the body that arrives, the one that waits included. That
// may not be one of ours: a listener around ours can have connections of its own.
func (c *Conn) endUpload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.upload != noUpload {
		c.upload = ended
		c.reads.asked = time.Unix(1, 0)
		c.move()
	}
}

// Read reads what has come. A body that arrives has a deadline, which is set
// before each read: a handler may take long between two of them, and the client
// is not to blame.
//
// What the handler has left unread net/http takes off the connection, up to
// 256 KB, before it sends the response or afterwards. For that there is the
// stall time altogether.
//
// Once a body has stalled nothing is read any more. What comes late must not be
// taken for the next request.
func (c *Conn) Read(p []byte) (int, error) {
	n, uploading, err := c.beginRead(p)
	if n > 0 || err != nil {
		return n, err
	}
	n, err = c.read(p)
	c.endRead()
	if uploading && isTimeout(err) {
		c.endUpload()
	}
	return n, err
}

// beginRead reads what has been read ahead, or else sets the deadline of the next
// read, if there may be one.
func (c *Conn) beginRead(p []byte) (n int, uploading bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ahead) > 0 && len(p) > 0 {
		n = copy(p, c.ahead)
		if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
			c.ahead = nil
		}
		return n, false, nil
	}
	switch c.upload {
	case ended:
		return 0, true, os.ErrDeadlineExceeded
	case leftAlone:
		c.upload = forServer
		fallthrough
	case forHandler:
		if c.readStall > 0 {
			c.reads.asked = time.Now().Add(c.readStall)
		}
	}
	c.hasten() // net/http, too, reads from what knows no deadlines
	c.reads.reading++
	return 0, c.upload != noUpload, nil
}

func (c *Conn) endRead() {
	c.mu.Lock()
	c.reads.reading--
	c.mu.Unlock()
}
