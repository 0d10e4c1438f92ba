package reference

import (
	"runtime"
	"runtime/metrics"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Needs returns how many bytes of memory an executor of a program takes, for weights and for the rest. Weights are
// float32. The rest includes what loading takes for a while, and the runtime's own share.
func Needs(prog *op.Program, s op.Sizes) (weights, rest int) {
	largest := 0 // of the tensors: each load may convert one
	for _, w := range prog.Of(op.Weight) {
		weights += 4 * w.Width
		largest = max(largest, w.Source.Type.Bytes(w.Width))
	}
	p := op.NewPlan(prog, s, 0)
	return weights, 4*(p.Scratch+p.State+prog.StateLen()) + largest + mostGarbage(weights) + runtimeShare
}

// runtimeShare is what Go's runtime takes beside the heap, with the steps by which the heap grows.
const runtimeShare = 128 << 20

// mostGarbage returns how many bytes may be garbage while so many bytes of weights are loaded.
func mostGarbage(weights int) int { return max(16<<20, weights/64) }

// garbage collects the garbage of loading while weights are loaded. Otherwise the runtime would let it grow to the size
// of all live memory.
type garbage struct {
	most  uint64
	since uint64 // bytes allocated before the last collection
	keeps uint64 // bytes allocated since then that stay
}

func newGarbage(prog *op.Program) *garbage {
	weights := 0
	for _, w := range prog.Of(op.Weight) {
		weights += 4 * w.Width
	}
	return &garbage{most: uint64(mostGarbage(weights)), since: allocated()}
}

// kept notes that so many bytes were loaded and stay.
func (g *garbage) kept(bytes int) {
	g.keeps += uint64(bytes)
	if now := allocated(); now > g.since+g.keeps+g.most {
		runtime.GC()
		g.since, g.keeps = now, 0
	}
}

// allocated returns how many bytes the process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
