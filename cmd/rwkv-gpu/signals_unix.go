//go:build unix

package main

import (
	"os"
	"syscall"
)

// ignored are signals of what shows as an error of write: a reader that has seen enough, a file that may not grow
// further.
var ignored = []os.Signal{syscall.SIGPIPE, syscall.SIGXFSZ}
