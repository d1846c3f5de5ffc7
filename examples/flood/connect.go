package flood

import (
	"context"
	"io"
	"net"
	"time"
)

// dial connects to a TCP server. All that is done with the connection has to end
// by the deadline, and soon after ctx has ended.
func dial(ctx context.Context, addr string, deadline time.Time) (io.ReadWriteCloser, error) {
	d := net.Dialer{Deadline: deadline}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return limited{conn, stop}, nil
}

// limited is a connection whose context is let go of when it is closed.
type limited struct {
	net.Conn
	stop func() bool
}

func (l limited) Close() error {
	l.stop()
	return l.Conn.Close()
}
