//go:build !linux

package cpu

// Free returns false: the amount of memory is not known here.
func Free() (bytes int, known bool) { return 0, false }
