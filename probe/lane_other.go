//go:build !linux || !(amd64 || arm64) || !go1.26 || go1.27 || msan || asan

package probe

import (
	"errors"
	"net"
)

var errNoLane = errors.New("the lane is for Linux on amd64 and arm64, and for Go 1.26, with which it was tested")

func (r *Registry) newLane(net.Listener, laneConfig) (laneThread, error) { return nil, errNoLane }
