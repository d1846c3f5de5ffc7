//go:build unix

package probe

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

func TestFileDoesNotOpenWhatWouldWait(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	wantPass(t, File(pipe))

	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	wantPass(t, File(l.Addr().String()))
}
