package server

import (
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/probelane/probelane/internal/canned"
)

// A read of this long is given up by its test.
const never = time.Hour

// piped is a connection in memory, of which one end is as wrap makes it and ours.
func piped(t *testing.T, wrap func(net.Conn) net.Conn) (c *Conn, theirs net.Conn) {
	near, theirs := net.Pipe()
	c = newConn(wrap(near), time.Minute)
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
	})
	return c, theirs
}

func TestReadDeadline(t *testing.T) {
	longAgo := time.Unix(1, 0)
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for _, test := range []struct {
		name   string
		before func(*Conn)                     // what is asked for before the read
		during map[time.Duration]time.Duration // when it goes on: after so long, for so long; 0 is none, < 0 is long ago
		want   time.Duration                   // when the read is over; never if it waits for what comes then
	}{
		{"none", func(c *Conn) {}, nil, never},
		{"one", func(c *Conn) { c.SetReadDeadline(in(time.Second)) }, nil, time.Second},
		{"the last one counts if it is sooner", func(c *Conn) {
			c.SetReadDeadline(in(time.Minute))
			c.SetReadDeadline(in(time.Second))
		}, nil, time.Second},
		{"the last one counts if it is later", func(c *Conn) {
			c.SetReadDeadline(in(time.Second))
			c.SetReadDeadline(in(time.Minute))
		}, nil, time.Minute},
		{"one that was taken back", func(c *Conn) {
			c.SetReadDeadline(in(time.Second))
			c.SetReadDeadline(time.Time{})
		}, nil, never},
		{"long ago", func(c *Conn) { c.SetReadDeadline(longAgo) }, nil, 0},
		{"long ago, and taken back", func(c *Conn) {
			c.SetReadDeadline(longAgo)
			c.SetReadDeadline(time.Time{})
		}, nil, never},
		{"set during the read", func(c *Conn) {}, map[time.Duration]time.Duration{time.Second: time.Second}, 2 * time.Second},
		{"ended during the read", func(c *Conn) { c.SetReadDeadline(in(time.Minute)) },
			map[time.Duration]time.Duration{time.Second: -1}, time.Second},
		{"made later during the read", func(c *Conn) { c.SetReadDeadline(in(time.Minute)) },
			map[time.Duration]time.Duration{time.Second: 2 * time.Minute}, 2*time.Minute + time.Second},
		{"made sooner during the read", func(c *Conn) { c.SetReadDeadline(in(time.Minute)) },
			map[time.Duration]time.Duration{time.Second: time.Second}, 2 * time.Second},
		{"taken back during the read", func(c *Conn) { c.SetReadDeadline(in(time.Minute)) },
			map[time.Duration]time.Duration{time.Second: 0}, never},
		{"taken back and set again", func(c *Conn) { c.SetReadDeadline(in(time.Minute)) },
			map[time.Duration]time.Duration{time.Second: 0, 2 * time.Minute: time.Second}, 2*time.Minute + time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			// The second read begins with what the first has left.
			for _, earlier := range []string{"", "ended", "expired", "taken back"} {
				synctest.Test(t, func(t *testing.T) {
					c, theirs := piped(t, func(c net.Conn) net.Conn { return c })
					var p [1]byte
					switch earlier {
					case "ended", "expired":
						d := in(time.Second)
						if earlier == "ended" {
							d = longAgo
						}
						c.SetReadDeadline(d)
						if _, err := c.Read(p[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
							t.Fatalf("%v before", err)
						}
						c.SetReadDeadline(time.Time{})
					case "taken back":
						c.SetReadDeadline(in(10 * time.Second))
						go theirs.Write(p[:])
						if _, err := c.Read(p[:]); err != nil {
							t.Fatalf("%v before", err)
						}
						c.SetReadDeadline(time.Time{})
					}
					test.before(c)
					began := time.Now()
					for after, d := range test.during {
						time.AfterFunc(after, func() {
							switch {
							case d == 0:
								c.SetReadDeadline(time.Time{})
							case d < 0:
								c.SetReadDeadline(longAgo)
							default:
								c.SetReadDeadline(in(d))
							}
						})
					}
					time.AfterFunc(never, func() { theirs.Write(p[:]) })
					n, err := c.Read(p[:])
					if took := time.Since(began); took != test.want {
						t.Errorf("%q earlier: took %v, want %v", earlier, took, test.want)
					}
					if came := test.want == never; came != (n == 1 && err == nil) || !came && !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("%q earlier: %d bytes, %v", earlier, n, err)
					}
				})
			}
		})
	}
}

func TestReadDeadline_HijackerGetsWhatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, theirs := piped(t, func(c net.Conn) net.Conn { return c })
		var p [1]byte
		c.SetReadDeadline(time.Unix(1, 0))
		c.Read(p[:])
		c.SetReadDeadline(time.Time{})
		c.release()
		time.AfterFunc(never, func() { theirs.Write(p[:]) })
		if _, err := c.NetConn().Read(p[:]); err != nil {
			t.Error(err)
		}
	})
}

// strange is a connection that knows no deadlines, or has words of its own for
// them.
type strange struct {
	net.Conn
	without bool
}

func (s strange) SetReadDeadline(t time.Time) error {
	if s.without {
		return errors.New("no deadlines here")
	}
	return s.Conn.SetReadDeadline(t)
}

func (s strange) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = lateError{}
	}
	return n, err
}

type lateError struct{}

func (lateError) Error() string   { return "late" }
func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return true }

func TestReadDeadline_StrangeConnections(t *testing.T) {
	for _, without := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, theirs := piped(t, func(c net.Conn) net.Conn { return strange{c, without} })
			var p [1]byte
			// As net/http does for a header, and then while a handler works.
			for _, deadline := range []time.Time{time.Now().Add(time.Second), {}} {
				c.SetReadDeadline(deadline)
				after := never
				if !deadline.IsZero() {
					after = time.Second / 2
				}
				time.AfterFunc(after, func() { theirs.Write(p[:]) })
				if _, err := c.Read(p[:]); err != nil {
					t.Errorf("without deadlines %v, until %v: %v", without, deadline, err)
				}
			}
		})
	}
}

// The connection that net/http reads from may be another one, around ours or
// beneath it.
func TestEndUpload_EndsWhatIsReadElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, theirs := piped(t, func(c net.Conn) net.Conn { return c })
		c.beginUpload(time.Minute)
		c.handlerReads(true)
		time.AfterFunc(time.Second, c.endUpload)
		time.AfterFunc(never, func() { theirs.Write(make([]byte, 1)) })
		if _, err := c.NetConn().Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the read ended with %v", err)
		}
	})
}

// Once for the time between two requests, and once to end net/http's look for a
// client that has left.
func TestReadDeadline_MovesTwiceARequest(t *testing.T) {
	s, err := New(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	const requests = 100
	c := canned.Serve(s.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), s.Listener, cannedRequest, requests)
	if c.Answers != requests || c.Moves > 2*requests+2 {
		t.Errorf("%d answers to %d requests, %d moves of the deadline", c.Answers, requests, c.Moves)
	}
}
