package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"testing"
)

// childEnv makes the test binary the command itself: what signals, limits and crashes do shows in a process of its own.
const childEnv = "RWKV_TEST_COMMAND"

// child returns the command line as a process, not yet started.
func child(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = append(os.Environ(), childEnv+"=1", "RWKV_API_KEY=") // no key of whoever runs the tests
	return c
}

// finish waits for a process that was started with its output in buffers.
func finish(t *testing.T, c *exec.Cmd) answer {
	t.Helper()
	err := c.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := answer{status: c.ProcessState.ExitCode()}
	if b, ok := c.Stdout.(*bytes.Buffer); ok {
		r.stdout = b.String()
	}
	if b, ok := c.Stderr.(*bytes.Buffer); ok {
		r.stderr = b.String()
	}
	return r
}

// start starts the command line with its output in buffers.
func start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := child(args...)
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}
