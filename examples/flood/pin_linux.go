package flood

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores returns the cores this process may run on, the lowest first; nil where
// pinning is not known.
func Cores() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cores []int
	for core := 0; len(cores) < set.Count(); core++ {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores
}

// PinSelf keeps all threads of this process on one core. Threads that start
// later inherit it.
func PinSelf(core int) error {
	// A thread that another was just starting may be missed once, not twice.
	if err := pinTasks(core); err != nil {
		return err
	}
	return pinTasks(core)
}

func pinTasks(core int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("flood: pin: %w", err)
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		// A thread may have ended since the directory was read.
		if err := pinThread(tid, core); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("flood: pin to core %d: %w", core, err)
		}
	}
	return nil
}

func pinThread(tid, core int) error {
	var set unix.CPUSet
	set.Set(core)
	return unix.SchedSetaffinity(tid, &set)
}

// startOn is StartChild. The child inherits the affinity of the thread that forks
// it, so that thread, and no other of ours, is moved for the moment.
func startOn(cmd *exec.Cmd, core int) error {
	// Should this process die by a signal that it cannot catch, its children
	// must not outlive it.
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL

	// Pdeathsig speaks of the thread that forked, not of the process. A thread
	// that was locked and unlocked again is kept by the Go runtime; one whose
	// goroutine ended while locked is not, and would take the child along.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if core < 0 {
		return cmd.Start()
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("flood: pin: %w", err)
	}
	if err := pinThread(0, core); err != nil {
		return fmt.Errorf("flood: pin to core %d: %w", core, err)
	}
	defer unix.SchedSetaffinity(0, &before)
	return cmd.Start()
}
