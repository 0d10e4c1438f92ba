package profile

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Loads says how kernels read their inputs.
type Loads uint8

// The ways to load. Measured stands for the one that the device does faster.
const (
	Measured Loads = iota
	Buffers        // storage buffers
	Texels         // uniform texel buffers, where the device's limits allow them
)

// String returns the name of the way to load.
func (l Loads) String() string { return [...]string{"measured", "buffers", "texels"}[l] }

// Other returns the other of the two ways.
func (l Loads) Other() Loads { return Buffers + Texels - l }

// Texel is a range that a kernel would bind as texels, and the size of one in bytes.
type Texel struct {
	gpu.Range
	Bytes int
}

// Fits reports whether the device can bind all of some ranges as texels, wherever in an arena the ranges begin.
func Fits(l gpu.Limits, inputs ...Texel) bool {
	if l.TexelOffsetAlignment > 4*op.Align {
		return false
	}
	for _, in := range inputs {
		if in.Size/in.Bytes > l.MaxTexelBufferElements {
			return false
		}
	}
	return true
}

// wordBytes is the size of the largest texel.
const wordBytes = 16

// texelBytes returns the most bytes of a texel buffer. It is 0 if a texel buffer cannot begin at every place in an
// arena.
func texelBytes(l gpu.Limits) int {
	if l.TexelOffsetAlignment > 4*op.Align {
		return 0
	}
	return l.MaxTexelBufferElements * wordBytes
}
