package server

import (
	"errors"
	"net"
	"time"
)

// readDeadline is a connection's deadline for reads. net/http sets one six times
// for each request: for the time before it, for its header, for none in between,
// and to end its look for a client that has left. Each moves a timer of the
// runtime's, and most are replaced before anybody has read.
//
// So the socket's own is not moved before a read, and then only if it is later
// than what is asked for. If it is sooner, the read that runs into it moves it
// and tries again.
type readDeadline struct {
	asked, socket time.Time // the zero time is none
	reading       int       // so many reads go on
}

// ask notes what the deadline shall be. It is called with mu held, like all
// below but read.
func (c *Conn) ask(t time.Time) error {
	c.reads.asked = t
	if c.reads.reading == 0 {
		return nil
	}
	return c.hasten()
}

// hasten moves the socket's deadline if it is later than what is asked for, or is
// the one by which net/http ends a read, in 1970.
func (c *Conn) hasten() error {
	d := &c.reads
	switch {
	case d.asked.Equal(d.socket):
		return nil
	case d.socket.IsZero(), !d.asked.IsZero() && d.asked.Before(d.socket):
	case d.socket.Unix() > 1:
		return nil
	}
	return c.move()
}

func (c *Conn) move() error {
	c.reads.socket = c.reads.asked
	return c.Conn.SetReadDeadline(c.reads.asked)
}

// read reads until the deadline that is asked for.
func (c *Conn) read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if !isTimeout(err) || !c.tooSoon() {
			return n, err
		}
	}
}

// isTimeout reports whether a read has run into its deadline. Not all connections
// are the operating system's, and say so in its words.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// tooSoon reports whether a read has run into a deadline that nobody asks for,
// and moves that.
func (c *Conn) tooSoon() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.reads.asked.Equal(c.reads.socket) && c.move() == nil
}

// SetReadDeadline sets the read deadline, and ends the rolling one of an upload.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.upload != ended {
		c.upload = noUpload
	}
	return c.ask(t)
}
