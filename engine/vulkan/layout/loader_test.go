package layout

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

// counted is a matrix whose loads are counted.
func counted(loads map[string]int, name string, rows, cols int) *tensor.Tensor {
	rng := rand.New(rand.NewPCG(1, 2))
	f := make([]float32, rows*cols)
	for i := range f {
		f[i] = rng.Float32() - 0.5
	}
	data := make([]byte, tensor.F16.Bytes(len(f)))
	tensor.F16.Encode(data, f)
	return tensor.New(name, tensor.F16, []int{rows, cols}, func() ([]byte, error) {
		loads[name]++
		return data, nil
	})
}

// Every weight is loaded once, and quantized once: of products and tables that fall into many pieces, of one that two
// products and a table read, and of vectors.
func TestLoadedOnce(t *testing.T) {
	const cols, limit = 256, 20 << 10
	for _, pieces := range []bool{false, true} {
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q4_K} {
			t.Run(fmt.Sprintf("%s, in pieces: %t", typ, pieces), func(t *testing.T) {
				dev := gputest.Device(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) {
					if pieces {
						l.MaxStorageBufferRange = limit
					}
				}})
				loads, quantized := map[string]int{}, map[string]int{}
				source := func(name string, rows int) *tensor.Tensor {
					w := counted(loads, name, rows, cols)
					if typ == tensor.F16 {
						return w
					}
					q := quant.Tensor(w, typ)
					return tensor.New(name, typ, w.Shape, func() ([]byte, error) {
						quantized[name]++
						return q.Load()
					})
				}
				var b op.Builder
				first, second, shared := source("first", 300), source("second", 200), source("shared", 150)
				bias := counted(loads, "bias", 1, 300)
				x, y, z := b.Scratch("x", op.Row, cols), b.Scratch("y", op.Row, 300), b.Scratch("z", op.Row, 200)
				group := &op.MatMul{Parts: []op.Part{
					{W: b.Weight(first, 300, cols), X: x.All(), Y: y.All(), Bias: b.Weight(tensor.New("bias", tensor.F16, []int{300}, bias.Load), 300)},
					{W: b.Weight(second, 200, cols), X: x.All(), Y: z.All()}}}
				head := &op.MatMul{Parts: []op.Part{{W: b.Weight(shared, 150, cols), X: x.All(), Y: y.Slice(0, 150)}}}
				again := &op.MatMul{Parts: []op.Part{{W: b.Weight(shared, 150, cols), X: x.All(), Y: z.Slice(0, 150)}}}
				table := &op.Embed{Table: b.Weight(shared, 150, cols), Y: x}
				for _, o := range []op.Op{table, group, head, group, again} {
					b.Emit(-1, "step", o)
				}
				prog := b.Unchecked()
				told, all := int64(0), int64(0)
				l := NewLoader(dev, prog, func(done, of int64) error {
					told, all = done, of
					return nil
				})
				rows, err := l.Table(table.Table)
				if err != nil {
					t.Fatal(err)
				}
				units := 0
				for _, o := range []*op.MatMul{group, head, again} {
					list, err := l.Slabs(o, Bounds{Band: 8, MostRows: 1 << 16})
					if err != nil {
						t.Fatal(err)
					}
					units += len(list)
				}
				for range 2 { // two ops have it
					if _, err := l.Vector(group.Parts[0].Bias); err != nil {
						t.Fatal(err)
					}
				}
				if cut := units > 3 && len(rows) > 1; cut != pieces {
					t.Errorf("%d units, %d pieces of the table", units, len(rows))
				}
				for _, name := range []string{"first", "second", "shared", "bias"} {
					if loads[name] != 1 || typ != tensor.F16 && name != "bias" && quantized[name] != 1 {
						t.Errorf("%s: loaded %d times, quantized %d times", name, loads[name], quantized[name])
					}
				}
				if len(l.matrices) != 0 {
					t.Errorf("%d matrices are still held", len(l.matrices))
				}
				if told != all || all == 0 {
					t.Errorf("told of %d bytes of %d", told, all)
				}
				for _, b := range l.Buffers {
					b.Release()
				}
			})
		}
	}
}
