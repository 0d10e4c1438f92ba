//go:build !race

package reference

// Race reports whether the race detector watches.
const Race = false
