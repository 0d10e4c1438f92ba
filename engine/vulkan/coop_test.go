package vulkan

import (
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Numbers far beyond float16's range, above and below, give float32's results: the sums of a tile's tokens and rows are
// right to 2^-16 of what float32 products of their largest numbers would be; to 2^-10 where a number is rounded to
// float16 once, which its 11 bits allow for an input and a weight.
func TestCoopRange(t *testing.T) {
	k := kernels(t)
	if !k.set.Forms().Offers(form.Coop) {
		t.Skipf("%s has no cooperative matrices of a shape that the kernel takes", k.set.Dev.Info().Name)
	}
	types := []tensor.Type{tensor.F16, tensor.BF16, tensor.F32}
	t.Run(form.Coop, func(t *testing.T) { checkRange(t, k, form.Coop, types, 1<<16) })
	t.Run(form.Half, func(t *testing.T) { checkRange(t, k, form.Half, types, 1<<10) })
	t.Run(form.HalfWide, func(t *testing.T) {
		if testing.Short() {
			t.Skip("a processor's compiler takes a minute")
		}
		checkRange(t, k, form.HalfWide, types[1:2], 1<<10)
	})
}

// checkRange wants a kernel's sums right to one part in accurate.
func checkRange(t *testing.T, k *Kernels, kernel string, types []tensor.Type, accurate float64) {
	const width, rows, tokens = 96, 70, 40
	for _, typ := range types {
		for _, size := range []struct{ w, x float64 }{{1, 1}, {1, 3e7}, {1, 1e-9}, {1e-4, 1e6}, {1e9, 1e-6}, {1e-12, 1e12}, {1e18, 1e18}} {
			if typ == tensor.F16 && size.w != 1 {
				continue
			}
			x, w := make([]float32, tokens*width), make([]float32, rows*width)
			for i := range x {
				x[i] = float32(size.x * math.Sin(float64(i*i)) / float64(1+i%7*i%5*50)) // some far smaller than others
			}
			for i := range w {
				w[i] = float32(size.w * math.Cos(float64(i*i)))
			}
			data := make([]byte, typ.Bytes(len(w)))
			typ.Encode(data, w)
			typ.Decode(w, data)
			got := coopProduct(t, k, kernel, tensor.FromBytes("w", typ, []int{rows, width}, data), x, tokens)
			for i := range got {
				var want, all float64
				for j := range width {
					p := float64(w[i%rows*width+j]) * float64(x[i/rows*width+j])
					want, all = want+p, all+math.Abs(p)
				}
				if d := math.Abs(float64(got[i]) - want); !(d <= all/accurate) {
					t.Fatalf("%s, weights of %g, inputs of %g: token %d, row %d: want %g, got %g", typ, size.w, size.x, i/rows, i%rows, want, got[i])
				}
			}
		}
	}
}

// coopProduct returns the product of a matrix and some tokens' vectors.
func coopProduct(t *testing.T, k *Kernels, kernel string, w *tensor.Tensor, x []float32, tokens int) []float32 {
	t.Helper()
	var b op.Builder
	in, out := b.Scratch("x", op.Row, w.Shape[1]), b.Scratch("y", op.Row, w.Shape[0])
	b.Emit(-1, "product", &op.MatMul{Parts: []op.Part{{W: b.Weight(w, w.Shape...), X: in.All(), Y: out.All()}}})
	prog := b.Unchecked()
	prog.Vocab = 1
	e, err := newProber(k, prog, Options{Sizes: op.Sizes{Slots: 1, Rows: tokens, Seqs: 1}, MatMul: kernel})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	var batch op.Batch
	batch.Add(0, make([]int, tokens), 0)
	if err := e.Stage(&batch); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(in, x); err != nil {
		t.Fatal(err)
	}
	if err := e.RunStep(0); err != nil {
		t.Fatal(err)
	}
	y, err := e.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	return y
}
