//go:build !unix

package main

import "os"

// ignored are signals of what shows as an error of write; only Unix has them.
var ignored []os.Signal
