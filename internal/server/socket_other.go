//go:build !linux || !(amd64 || arm64)

package server

import "net"

func limitUnsent(net.Conn) {}

func acked(net.Conn) (int64, bool) { return 0, false }
