package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// File returns a check that passes if there is a file or directory at the path
// and it can be read: a secret that is mounted, a volume, a file that someone
// puts there and takes away. A file is read as far as its first byte, and may be
// empty; devices, pipes and sockets only have to be there.
//
// No context ends a system call. If a network's file system hangs, so does the
// run, with one thread of the process, and is reported as [ErrStuck].
func File(path string) func(context.Context) error {
	if path == "" {
		return mistaken(errors.New(`probe: File(""): the path is empty`))
	}
	return func(context.Context) error {
		if err := readable(path); err != nil {
			return fmt.Errorf("probe: %w", err) // it says what failed, and the path
		}
		return nil
	}
}

func readable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil // opening a pipe would wait for its other end
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info.IsDir() {
		_, err = f.Readdirnames(1)
	} else {
		_, err = f.Read(make([]byte, 1))
	}
	if err == io.EOF {
		return nil
	}
	return err
}
