//go:build !linux

package flood

import (
	"errors"
	"os/exec"
)

// Cores returns nil here: pinning needs Linux.
func Cores() []int { return nil }

// PinSelf returns an error here: pinning needs Linux.
func PinSelf(int) error { return errors.New("flood: pinning needs Linux") }

func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }
