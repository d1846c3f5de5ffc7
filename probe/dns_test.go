package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

// Response codes of RFC 1035, section 4.1.1.
const (
	dnsOK       = 0
	dnsServFail = 2
	dnsNoName   = 3
)

// nameserver answers every question over UDP on loopback: with 192.0.2.1 to one
// for an A record, and with nothing to others. It says nothing at all if silent.
type nameserver struct {
	rcode  byte
	empty  bool
	silent bool
}

func (n *nameserver) serve(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if !n.silent {
				_, _ = conn.WriteTo(n.answer(buf[:size]), from)
			}
		}
	})
	t.Cleanup(func() {
		conn.Close()
		served.Wait()
	})
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
		},
	}
}

// answer makes a response: the header, the question, and perhaps one record.
func (n *nameserver) answer(query []byte) []byte {
	end := 12 // of the question
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end++
	isA := binary.BigEndian.Uint16(query[end:]) == 1
	end += 4 // type and class
	resp := append([]byte(nil), query[:end]...)
	copy(resp[2:], []byte{0x81, 0x80 | n.rcode, 0, 1, 0, 0, 0, 0, 0, 0}) // a response, recursion available; one question
	if n.rcode == dnsOK && isA && !n.empty {
		resp[7] = 1
		resp = append(resp, 0xc0, 12, // the name stands in the question
			0, 1, 0, 1, // A, IN
			0, 0, 0, 60, // for a minute
			0, 4, 192, 0, 2, 1)
	}
	return resp
}

func TestDNS(t *testing.T) {
	const host = "db.probelane.test."
	tests := []struct {
		name   string
		server nameserver
		want   string // part of the error; empty for a pass
	}{
		{"an address", nameserver{}, ""},
		{"no such name", nameserver{rcode: dnsNoName}, "no such host"},
		{"a name without addresses", nameserver{empty: true}, "no such host"},
		{"a server that fails", nameserver{rcode: dnsServFail}, "server misbehaving"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := DNS(tt.server.serve(t), host)
			if tt.want == "" {
				wantPass(t, check)
				return
			}
			var failure *net.DNSError
			if err := wantFailure(t, check, tt.want, "lookup db.probelane.test"); !errors.As(err, &failure) {
				t.Errorf("%T, want a *net.DNSError inside", err)
			}
		})
	}
	t.Run("a server that is silent", func(t *testing.T) {
		server := nameserver{silent: true}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		var failure *net.DNSError
		if err := DNS(server.serve(t), host)(ctx); !errors.As(err, &failure) || !failure.IsTimeout {
			t.Errorf("%v, want a timeout", err)
		}
	})
	t.Run("the default resolver", func(t *testing.T) { wantPass(t, DNS(nil, "localhost")) })
}
