//go:build unix

package bench

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup gives a program a process group of its own, which ends as a whole when the program is to end: what the program
// started ends too. Without it the system would end the program alone.
func ownGroup(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error {
		err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
