package main

import (
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// results is standard output. It remembers the first write that failed, since the code that prints help and versions
// does not check.
type results struct {
	io.Writer
	err error
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.Writer.Write(b)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// standardOutput returns the process's standard output. If that is closed, it returns a stream whose writes fail.
func standardOutput() io.Writer {
	if gpu.StdoutClosed() {
		return closedStream{}
	}
	return os.Stdout
}

type closedStream struct{}

func (closedStream) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EBADF}
}
