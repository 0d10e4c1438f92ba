package bench

import (
	"errors"
	"os/exec"
	"reflect"
	"runtime"

	"golang.org/x/sys/windows"
)

// startGroup starts a program in a job of its own: all that it starts ends when it is to end, and when the job is
// released. What it starts before the job has it, in its first instant, does not belong to the job.
func startGroup(c *exec.Cmd) (release func(), err error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return func() {}, err
	}
	release = func() { _ = windows.CloseHandle(job) } // which ends what runs yet
	limits := &windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{}
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	v := reflect.ValueOf(limits)
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, v.Pointer(), uint32(v.Elem().Type().Size()))
	runtime.KeepAlive(limits)
	if err != nil {
		return release, err
	}
	c.Cancel = func() error {
		return errors.Join(windows.TerminateJobObject(job, 1), c.Process.Kill()) // the job may not have it yet
	}
	if err := c.Start(); err != nil {
		return release, err
	}
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(c.Process.Pid))
	if err == nil {
		_ = windows.AssignProcessToJobObject(job, h) // fails for a program that has ended
		_ = windows.CloseHandle(h)
	}
	return release, nil
}
