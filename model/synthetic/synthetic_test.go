package synthetic

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// tiny has the proportions of the published sizes, and odd ranks.
var tiny = Size{Name: "tiny", Layers: 3, Embed: 128, Head: 32, FFN: 512, Vocab: 300, W: 10, A: 12, V: 6, G: 18}

func open(t *testing.T, s Size, typ tensor.Type, seed uint64) *model.Model {
	t.Helper()
	f, err := New(s, typ, seed)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// The numbers of parameters are those of the RWKV-7 paper, arXiv 2503.14456.
func TestParameters(t *testing.T) {
	for name, want := range map[string]int{"0.1b": 191_034_624, "0.4b": 450_767_872, "1.5B": 1_527_404_544, "2.9b": 2_947_735_040} {
		s, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, s, tensor.F16, Seed)
		if m.Parameters() != want || s.Parameters() != want || m.File.Bytes() != 2*want || m.Version != "v7" || len(m.Unused) != 0 {
			t.Errorf("%s: want %d parameters, got %d, by the formula %d, in %d bytes; %v", name, want, m.Parameters(), s.Parameters(), m.File.Bytes(), m.Unused)
		}
	}
	if _, err := Named("3b"); err == nil || err.Error() != `want one of 0.1b, 0.4b, 1.5b, 2.9b, 7.2b, got "3b"` {
		t.Error(err)
	}
	if m := open(t, tiny, tensor.F32, 1); m.Parameters() != tiny.Parameters() {
		t.Errorf("tiny: %d, by the formula %d", m.Parameters(), tiny.Parameters())
	}
	for _, s := range []Size{{}, {Layers: 1, Embed: 10, Head: 3}} {
		if _, err := New(s, tensor.F16, 1); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
	if _, err := New(tiny, tensor.Q8_0, 1); err == nil {
		t.Error("blocks: no error")
	}
}

func load(t *testing.T, x *tensor.Tensor) []byte {
	t.Helper()
	b, err := x.Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The same seed gives the same bytes, in whatever order and on however many cores they are asked for; another seed,
// another tensor, gives others. Types agree up to rounding.
func TestDeterministic(t *testing.T) {
	big := tiny
	big.Vocab = 5000 // of more than one chunk
	a, b, other := open(t, big, tensor.F16, 7), open(t, big, tensor.F16, 7), open(t, big, tensor.F16, 8)
	wide := open(t, big, tensor.F32, 7)
	names := a.File.Names()
	for _, name := range slices.Backward(names) {
		if !bytes.Equal(load(t, a.File.Tensors[name]), load(t, b.File.Tensors[name])) {
			t.Errorf("%s: differs", name)
		}
		if bytes.Equal(load(t, a.File.Tensors[name]), load(t, other.File.Tensors[name])) {
			t.Errorf("%s: the same for another seed", name)
		}
		f, err := wide.File.Tensors[name].Floats()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range f {
			f[i] = tensor.F16.Round(v)
		}
		want, _ := a.File.Tensors[name].Floats()
		if !slices.Equal(f, want) {
			t.Errorf("%s: F32 and F16 differ by more than rounding", name)
		}
	}
	if bytes.Equal(load(t, a.File.Tensors["blocks.0.att.key.weight"]), load(t, a.File.Tensors["blocks.0.att.value.weight"])) {
		t.Error("two tensors are the same")
	}
}

// A tensor has the mean and deviation that it was asked for, no element repeats in a short period, and neighbours do
// not depend on each other.
func TestNormal(t *testing.T) {
	for _, typ := range tensor.Types {
		n := normal{mean: 0.25, deviation: 0.5, key: 42}
		const count = 1<<20 + 3
		data := make([]byte, typ.Bytes(count))
		n.fill(typ, data)
		f := make([]float32, count)
		typ.Decode(f, data)
		var sum, squares, product float64
		for i, v := range f {
			d := (float64(v) - n.mean) / n.deviation
			sum, squares = sum+d, squares+d*d
			if i > 0 {
				product += d * (float64(f[i-1]) - n.mean) / n.deviation
			}
		}
		if math.Abs(sum/count) > 0.005 || math.Abs(squares/count-1) > 0.01 || math.Abs(product/count) > 0.005 {
			t.Errorf("%s: mean %.4f, variance %.4f, correlation %.4f", typ, sum/count, squares/count, product/count)
		}
	}
}

// BenchmarkFill measures the generator on one core.
func BenchmarkFill(b *testing.B) {
	data := make([]byte, chunk)
	for _, typ := range tensor.Types {
		table := normal{deviation: 1}.table(typ)
		b.Run(typ.String(), func(b *testing.B) {
			b.SetBytes(chunk)
			for b.Loop() {
				fillRange(typ.Bytes(1), table, 1, data, 0)
			}
		})
	}
}
