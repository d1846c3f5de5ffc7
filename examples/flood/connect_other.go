//go:build !linux

package flood

import (
	"context"
	"io"
	"time"
)

// connect is dial.
func connect(ctx context.Context, addr string, deadline time.Time) (io.ReadWriteCloser, error) {
	return dial(ctx, addr, deadline)
}
