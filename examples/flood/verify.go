package flood

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// Body is a response body that was looked at in full once. Bodies of the same
// path are compared with its size and its edges from then on.
type Body struct {
	Size       int64
	head, tail [bodyEdge]byte
}

// matches reports whether a response's body agrees with b as far as the cheap
// check goes.
func (b Body) matches(resp response) bool {
	return resp.size == b.Size && resp.head == b.head && resp.tail == b.tail
}

// Verify fetches path once, alone, and looks at the whole body: it must be a
// 200 and one valid JSON value; if entities is 0 or more, the value must be an
// object whose items has that many elements, the last with an id of that
// number.
func Verify(ctx context.Context, addr, path string, entities int) (Body, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return Body{}, fmt.Errorf("flood: verify: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	if _, err := conn.Write(request(addr, path, "")); err != nil {
		return Body{}, fmt.Errorf("flood: verify: %w", err)
	}
	var whole bytes.Buffer
	rr := newResponseReader(conn, 256<<10)
	rr.body = func(p []byte) { whole.Write(p) }
	resp, err := rr.read()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return Body{}, fmt.Errorf("flood: verify: reading %s: %w", path, err)
	}
	if resp.status != 200 {
		return Body{}, fmt.Errorf("flood: verify: GET %s answered %d: %.200q", path, resp.status, whole.Bytes())
	}
	if err := checkItems(whole.Bytes(), entities); err != nil {
		return Body{}, fmt.Errorf("flood: verify: GET %s: %w", path, err)
	}
	return Body{Size: resp.size, head: resp.head, tail: resp.tail}, nil
}

func checkItems(body []byte, entities int) error {
	if entities < 0 {
		if !json.Valid(body) {
			return fmt.Errorf("%d bytes that are not one JSON value", len(body))
		}
		return nil
	}
	var got Clients
	if err := json.Unmarshal(body, &got); err != nil {
		return err
	}
	if len(got.Items) != entities {
		return fmt.Errorf("%d clients, want %d", len(got.Items), entities)
	}
	if entities > 0 && got.Items[entities-1].ID != int64(entities) {
		return fmt.Errorf("last client has id %d, want %d", got.Items[entities-1].ID, entities)
	}
	return nil
}

// request is a GET as the load's clients send it.
func request(addr, path, acceptEncoding string) []byte {
	head := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: probelane-flood\r\n"
	if acceptEncoding != "" {
		head += "Accept-Encoding: " + acceptEncoding + "\r\n"
	}
	return []byte(head + "\r\n")
}
