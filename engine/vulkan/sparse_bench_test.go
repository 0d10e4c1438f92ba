package vulkan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// BenchmarkSparse measures the product behind ReLU^2 of RWKV-7 0.1B for one token, in every form that may run it and
// with so many zeros in a hundred elements. One op is sixteen products, each of weights of its own, as the layers of a
// model have.
func BenchmarkSparse(b *testing.B) {
	const m, k, layers = 768, 3072, 16
	kern := kernels(b)
	rng := rand.New(rand.NewPCG(1, 2))
	var build op.Builder
	x, y := build.Scratch("x", op.Row, k), build.Scratch("y", op.Row, m)
	data := make([]byte, tensor.F16.Bytes(m*k))
	f := make([]float32, m*k)
	for i := range f {
		f[i] = float32(rng.NormFloat64()) * 0.02
	}
	tensor.F16.Encode(data, f)
	for range layers {
		w := build.Weight(tensor.FromBytes("w", tensor.F16, []int{m, k}, data), m, k)
		build.Emit(-1, "value", &op.MatMul{Parts: []op.Part{{W: w, X: x.All(), Y: y.All()}}})
	}
	prog := build.Unchecked()
	prog.Vocab = 1
	e, err := newProber(kern, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	for _, zeros := range []int{0, 50, 80, 90} {
		in := make([]float32, k)
		for i := range in {
			if z := rng.NormFloat64(); rng.IntN(100) >= zeros {
				in[i] = float32(z * z)
			}
		}
		if err := e.writeVector(x, in); err != nil {
			b.Fatal(err)
		}
		var list []kernel.Choice
		for _, step := range e.steps {
			list = append(list, step.Choices(kernel.Shape{Rows: 1, Seqs: 1})...)
		}
		forms := slices.Concat(list[0].Forms, kern.set.Forms().Sparse())
		for _, form := range forms {
			rec := e.dev.NewRecording()
			for i := range e.steps {
				if err := (&kernel.Zeros{Product: list[i].Work.(*kernel.Dense).Product}).Provide(form); err != nil {
					b.Fatal(err)
				}
				r := e.env.Recorder(rec, kernel.Shape{Rows: 1, Seqs: 1}, &e.memory.at)
				if err := list[i].Work.(*kernel.Dense).RecordAt(r, form); err != nil {
					b.Fatal(err)
				}
			}
			c, err := rec.End()
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("zeros%d/%s", zeros, form), func(b *testing.B) {
				for b.Loop() {
					if err := c.Run(); err != nil {
						b.Fatal(err)
					}
				}
			})
			c.Release()
		}
	}
}

// writeVector sets the only vector of a scratch operand.
func (e *Prober) writeVector(o *op.Operand, x []float32) error {
	data := make([]byte, tensor.F32.Bytes(len(x)))
	tensor.F32.Encode(data, x)
	return e.dev.Upload(e.memory.scratch.Range(4*e.plan.Offset[o.ID], len(data)), data)
}
