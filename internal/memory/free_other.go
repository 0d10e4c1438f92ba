//go:build !linux

package memory

// Free returns false: the amount of memory is not known here.
func Free() (bytes int, known bool) { return 0, false }
