//go:build unix

package main

import (
	"os"
	"syscall"
)

// ignored are signals that are ignored since a write fails too: the reader has gone, or a file may not grow further.
var ignored = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}
