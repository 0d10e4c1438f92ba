//go:build !linux && !darwin

package cpu

import "runtime"

// cores returns the logical processors: how many cores they are is not known here.
func cores() int { return runtime.NumCPU() }
