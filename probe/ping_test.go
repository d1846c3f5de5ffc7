package probe

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// lineDB is a database that knows one command, served over TCP, and the driver
// for it: "PING\n" is answered "PONG\n", or an error.
type lineDB struct {
	listener net.Listener
	open     atomic.Int32 // connections that the server has
	sick     atomic.Bool
	silent   atomic.Bool
	mu       sync.Mutex
	conns    []net.Conn    // guarded by mu; all there were
	asked    chan struct{} // gets one for every command that is not answered
}

func serveLines(t *testing.T) *lineDB {
	d := &lineDB{listener: listenTCP(t), asked: make(chan struct{}, 1)}
	go func() {
		for {
			conn, err := d.listener.Accept()
			if err != nil {
				return
			}
			d.open.Add(1)
			d.mu.Lock()
			d.conns = append(d.conns, conn)
			d.mu.Unlock()
			go d.serve(conn)
		}
	}()
	return d
}

func (d *lineDB) serve(conn net.Conn) {
	defer d.open.Add(-1)
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		switch {
		case d.silent.Load():
			d.asked <- struct{}{}
		case d.sick.Load():
			fmt.Fprintln(conn, "out of disk space")
		default:
			fmt.Fprintln(conn, "PONG")
		}
	}
}

// drop closes all connections, as a server that is started anew.
func (d *lineDB) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.conns {
		conn.Close()
	}
}

func (d *lineDB) Driver() driver.Driver { return nil }

func (d *lineDB) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", d.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	return &lineConn{conn, bufio.NewReader(conn)}, nil
}

type lineConn struct {
	net.Conn
	in *bufio.Reader
}

var _ driver.Pinger = (*lineConn)(nil)

func (c *lineConn) Ping(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
	defer stop()
	fmt.Fprintln(c, "PING")
	line, err := c.in.ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		return driver.ErrBadConn // database/sql makes another
	case err != nil:
		return err
	case line != "PONG\n":
		return errors.New(line[:len(line)-1])
	}
	return nil
}

func (c *lineConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("no statements") }
func (c *lineConn) Begin() (driver.Tx, error)           { return nil, errors.New("no transactions") }

func TestPing(t *testing.T) {
	server := serveLines(t)
	db := sql.OpenDB(server)
	defer db.Close()
	check := Ping(db)
	for range 20 {
		wantPass(t, check)
	}
	if n := server.open.Load(); n != 1 {
		t.Errorf("%d connections for 20 pings, one after another", n)
	}
	if s := db.Stats(); s.InUse != 0 {
		t.Errorf("%d connections are not given back", s.InUse)
	}
	server.sick.Store(true)
	wantFailure(t, check, "ping: out of disk space")
	server.sick.Store(false)
	wantPass(t, check)

	// Two idle connections, of which the server knows nothing any more.
	busy, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantPass(t, check)
	busy.Close()
	if n := db.Stats().Idle; n != 2 {
		t.Fatalf("%d idle connections, want 2", n)
	}
	server.drop()
	wantPass(t, check)

	server.silent.Store(true)
	wantEnd(t, check, server.asked)

	server.listener.Close()
	wantFailure(t, check, "connection refused")
	if s := db.Stats(); s.InUse != 0 {
		t.Errorf("%d connections are not given back", s.InUse)
	}
}
