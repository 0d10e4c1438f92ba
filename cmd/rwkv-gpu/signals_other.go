//go:build !unix

package main

import "os"

// ignored are signals that are ignored since a write fails too; only Unix has them.
var ignored []os.Signal
