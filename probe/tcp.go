package probe

import (
	"context"
	"fmt"
	"net"
)

// TCP returns a check that passes if a connection to the address, "host:port",
// can be made. It is closed at once, and nothing is sent: that a port is open
// does not say that its service is well.
func TCP(address string) func(context.Context) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return mistaken(fmt.Errorf("probe: TCP(%q): use host:port: %w", address, err))
	}
	dialer := net.Dialer{KeepAlive: -1} // it is over before the first packet would be sent
	return func(ctx context.Context) error {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("probe: %w", err) // it says "dial tcp" and the address
		}
		_ = conn.Close() // that it could be made is all that counts
		return nil
	}
}
