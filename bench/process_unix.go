//go:build unix

package bench

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// startGroup starts a program in a process group of its own, which ends as a whole when the program is to end: what the
// program started ends too. Without it the system would end the program alone. release is called when the program has
// ended.
func startGroup(c *exec.Cmd) (release func(), err error) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error {
		err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	return func() {}, c.Start()
}
