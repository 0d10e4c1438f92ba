//go:build !race

package reference

// Race tells whether the race detector watches.
const Race = false
