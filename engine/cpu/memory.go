package cpu

import (
	"runtime"
	"runtime/metrics"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Needs returns how many bytes of memory an executor of a program takes: for weights, which it holds as float32, and
// for all else, with what loading them takes for a while and the runtime's own share.
func Needs(prog *op.Program, s op.Sizes) (weights, rest int) {
	largest := 0 // which may be made at each load, from numbers stored otherwise
	for _, w := range prog.Of(op.Weight) {
		weights += 4 * w.Width
		largest = max(largest, w.Source.Type.Bytes(w.Width))
	}
	p := op.NewPlan(prog, s, 0)
	return weights, 4*(p.Scratch+p.State+prog.StateLen()) + largest + mostGarbage(weights) + runtimeShare
}

// runtimeShare is what Go's runtime takes beside the heap, and by what steps the heap grows.
const runtimeShare = 128 << 20

// mostGarbage is how many bytes may be garbage while so many are loaded.
func mostGarbage(weights int) int { return max(16<<20, weights/64) }

// garbage collects, while weights are loaded, what loading them leaves behind: left to itself, the runtime would let it
// grow to as much again as there is.
type garbage struct {
	most  uint64
	since uint64 // bytes allocated when it was collected last
	keeps uint64 // bytes allocated since then that are no garbage
}

func newGarbage(prog *op.Program) *garbage {
	weights := 0
	for _, w := range prog.Of(op.Weight) {
		weights += 4 * w.Width
	}
	return &garbage{most: uint64(mostGarbage(weights)), since: allocated()}
}

// kept tells that so many bytes were loaded and stay.
func (g *garbage) kept(bytes int) {
	g.keeps += uint64(bytes)
	if now := allocated(); now > g.since+g.keeps+g.most {
		runtime.GC()
		g.since, g.keeps = now, 0
	}
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
