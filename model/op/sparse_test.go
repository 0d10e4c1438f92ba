package op_test

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// What a ReLU2 wrote is sparse until something else is written there, and what only scales it leaves its zeros.
func TestSparseInputs(t *testing.T) {
	var b op.Builder
	w := b.Weight(tensor.FromBytes("w", tensor.F32, []int{8, 8}, make([]byte, 256)), 8, 8)
	x, k, s, y := b.Scratch("x", op.Row, 8), b.Scratch("k", op.Row, 8), b.Scratch("s", op.Row, 16), b.Scratch("y", op.Row, 8)
	want := map[*op.MatMul]string{}
	step := func(name string, sparse bool, parts ...op.Part) {
		o := &op.MatMul{Parts: parts}
		b.Emit(0, name, o)
		if sparse {
			want[o] = name
		}
	}
	value := op.Part{W: w, X: k.All(), Y: y.All()}
	step("key", false, op.Part{W: w, X: x.All(), Act: op.ReLU2, Y: k.All()})
	step("scale", false, op.Part{W: w, X: x.All(), Combine: op.Mul, From: k.All(), Y: k.All()})
	step("value", true, value)
	step("again, in a group", false, value, op.Part{W: w, X: k.All(), Y: s.Slice(0, 8)})
	step("residual", false, op.Part{W: w, X: x.All(), Act: op.ReLU2, Combine: op.Add, From: y.All(), Y: k.All()})
	step("after residual", false, value)
	step("half", false, op.Part{W: w, X: x.All(), Act: op.ReLU2, Y: s.Slice(0, 8)})
	step("of a half", false, op.Part{W: w, X: s.Slice(8, 8), Y: y.All()})
	step("key again", false, op.Part{W: w, X: x.All(), Act: op.ReLU2, Y: k.All()})
	b.Emit(0, "embed", &op.Embed{Table: w, Y: k})
	step("after embed", false, value)
	got := b.Unchecked().SparseInputs()
	for o, name := range want {
		if !got[o] {
			t.Errorf("%s: want its input to have many zeros", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("want %d products, got %d", len(want), len(got))
	}
}
