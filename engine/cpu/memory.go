package cpu

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Needs returns how many bytes of memory an executor of a program takes with so many threads (see Threads), for weights
// and for the rest. Weights that are read in their file are not counted: they are the system's cache. Nor are copies of
// these (see SpareUse). The rest includes what loading takes for a while, and the runtime's own share.
func Needs(prog *op.Program, s op.Sizes, threads int) (weights, rest int) {
	rows := inRows(prog)
	largest := 0 // of the tensors that a load makes
	for _, w := range prog.Of(op.Weight) {
		size := w.Source.Type.Bytes(w.Width)
		switch {
		case !rows[w.ID]:
			weights += 4 * vectorStride(w.Width)
		case !inFile(w.Source):
			weights += size
		}
		if !w.Source.Stored() {
			largest = max(largest, size)
		}
	}
	p := op.NewPlan(prog, s, 0)
	floats := p.Scratch + p.State + prog.StateLen() + Threads(threads)*workLen(prog, s, findSparse(prog, Threads(threads)))
	return weights, 4*floats + mostGarbage*largest + runtimeShare
}

// SpareUse returns how many bytes of memory an executor of a program takes at most, with so many threads, for copies of
// weights that lie in a file. Without as much (see Options) it makes none.
func SpareUse(prog *op.Program, threads int) int { return findSparse(prog, Threads(threads)).bytes() }

// mostGarbage is how many copies of the largest tensor may be garbage before the runtime collects them.
const mostGarbage = 3

// runtimeShare is what Go's runtime takes beside the heap, with the steps by which the heap grows.
const runtimeShare = 128 << 20

// inFile reports whether a tensor's bytes are read in their file.
func inFile(t *tensor.Tensor) bool {
	if !t.Stored() {
		return false
	}
	data, err := t.Load()
	return err == nil && tensor.InFile(data)
}
