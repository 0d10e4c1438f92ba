package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Needs returns how many bytes of the device's memory an executor of a program takes, for weights and for the rest. The
// rest includes the copies of states that a Decode of several steps makes and the inputs of draws, though the first Decode
// takes their memory.
// With Options.Exact a matrix may take seven rows more.
func (k *Kernels) Needs(prog *op.Program, s op.Sizes) (weights, rest int) {
	for _, w := range prog.Of(op.Weight) {
		if len(w.Shape) != 2 {
			weights += 4 * w.Stride()
			continue
		}
		weights += layout.Bytes(w, k.set.Is.Band)
	}
	p := op.NewPlan(prog, s, 0)
	rest = 4 * (p.Scratch + p.State)
	if prog.Logits != nil {
		seqs := min(s.Rows, s.Seqs, s.Outs)
		rest += 4*(p.Extent(prog.Logits)+seqs*prog.StateLen()) + draw.Bytes(prog.Vocab, seqs, minRoom)
	}
	return weights, rest
}

// Free returns how many more bytes of the device's memory this process may take. The driver says it, or it follows from
// the size of the memory. A device that is a processor uses the machine's memory, so there only the driver can say it.
// ok reports whether the number is known.
func (k *Kernels) Free() (bytes int, ok bool) {
	used, budget, ok := k.set.Dev.MemoryBudget()
	if !ok {
		_, blocks := k.set.Dev.MemoryInUse()
		used, budget = uint64(blocks), k.set.Dev.Info().MemoryBytes
		ok = k.set.Dev.Info().Type != gpu.CPU
	}
	return int(budget - min(used, budget)), ok
}

// HasRoom reports whether the device has so many bytes of memory to spare.
func (k *Kernels) HasRoom(bytes int) bool {
	free, _ := k.Free()
	return bytes <= free
}
