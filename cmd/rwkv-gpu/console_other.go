//go:build !windows

package main

// obeysSequences reports whether a terminal obeys sequences such as those for bold text. All do but those of Windows.
func obeysSequences(any) bool { return true }
