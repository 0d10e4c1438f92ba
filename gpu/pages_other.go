//go:build !linux

package gpu

import "unsafe"

// advisePages does nothing: this system chooses the sizes of pages by itself, or has one size.
func advisePages(unsafe.Pointer, int) {}
