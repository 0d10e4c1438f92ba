//go:build !linux

package cpu

// Free returns that it is not known how much memory there is.
func Free() (bytes int, known bool) { return 0, false }
