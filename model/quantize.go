package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// role says what happens to a tensor when the model is quantized.
type role uint8

const (
	kept    role = iota // embeddings, low-rank matrices, norms, mixes, states: few bytes, or read one row at a time
	product             // a large product: takes the wanted type
	head                // the last product, whose errors reach the logits undamped: takes at least Q6_K
)

// QuantTypes returns the types that tensors get when the model is quantized to want, a block type, by their names in
// the file. The products of the time and channel mixes get that type, the head Q6_K or better. If rows are not whole
// blocks of 256, the nearest type of blocks of 32 is taken. If they are not whole blocks of 32 either, the tensor keeps
// its type. Tensors that are not in the map stay as they are stored, and so does a head that is stored in no more
// bytes. For a plain type the map is empty.
func (m *Model) QuantTypes(want tensor.Type) map[string]tensor.Type {
	types := make(map[string]tensor.Type)
	if !want.IsBlock() {
		return types
	}
	for name, r := range m.roles {
		t := m.File.Tensors[name]
		typ := wanted(t, r, want)
		if typ == 0 || typ == t.Type || r == head && t.Type.IsBlock() && t.Type.Bytes(t.Len()) <= typ.Bytes(t.Len()) {
			continue
		}
		types[name] = typ
	}
	return types
}

// wanted returns the type that t gets in a model of type want, 0 if its rows are whole blocks of no suitable type.
func wanted(t *tensor.Tensor, r role, want tensor.Type) tensor.Type {
	if r == head {
		want = headType(want)
	}
	return fitting(want, t.Shape[len(t.Shape)-1])
}

// headType returns the type of the head in a model of type want.
func headType(want tensor.Type) tensor.Type {
	if want == tensor.Q8_0 {
		return want
	}
	return tensor.Q6_K
}

// shortRows are the types of blocks of 32 nearest to those of blocks of 256, not smaller.
var shortRows = map[tensor.Type]tensor.Type{
	tensor.Q3_K: tensor.IQ4_NL, tensor.Q4_K: tensor.Q5_0, tensor.Q5_K: tensor.Q5_1, tensor.Q6_K: tensor.Q8_0,
}

// fitting returns typ, or its substitute, for rows of n elements. It returns 0 if there is none.
func fitting(typ tensor.Type, n int) tensor.Type {
	for ; typ != 0; typ = shortRows[typ] {
		if block, _ := typ.Block(); n%block == 0 {
			return typ
		}
	}
	return 0
}

// quantize replaces the tensors of QuantTypes(want), all of whose shapes are checked, by ones quantized at each Load.
func (m *Model) quantize(found map[string]*tensor.Tensor, want tensor.Type) error {
	if want != 0 && !want.IsBlock() {
		return fmt.Errorf("model: quantize: want a type of blocks, got %s", want)
	}
	m.Quantized = m.QuantTypes(want)
	if want == 0 {
		return nil
	}
	for name, r := range m.roles {
		if t := m.File.Tensors[name]; wanted(t, r, want) == 0 {
			m.Unfit = append(m.Unfit, name)
		}
	}
	slices.Sort(m.Unfit)
	for name, typ := range m.Quantized {
		found[name] = m.inFile(quant.Tensor(op.Finite(found[name]), typ))
	}
	return nil
}

// inFile returns t with a Load whose error names the file, if a number is too large for t's type.
func (m *Model) inFile(t *tensor.Tensor) *tensor.Tensor {
	return tensor.New(t.Name, t.Type, t.Shape, func() ([]byte, error) {
		data, err := t.Load()
		var out *quant.RangeError
		if errors.As(err, &out) {
			return nil, &weights.Error{File: m.File.Path, Tensor: t.Name, Field: fmt.Sprintf("element %d", out.Index),
				Want: fmt.Sprintf("at most %.6g in magnitude, for %s", out.Limit, t.Type), Got: fmt.Sprint(out.Value)}
		}
		return data, err
	})
}

// LoadedAs returns the type that the named tensor of the file is loaded as.
func (m *Model) LoadedAs(name string) tensor.Type {
	if typ, ok := m.Quantized[name]; ok {
		return typ
	}
	return m.File.Tensors[name].Type
}

// Bytes returns the size of the tensors that the model uses: in the file, and as they are loaded.
func (m *Model) Bytes() (stored, loaded int) {
	for name, t := range m.File.Tensors {
		if slices.Contains(m.Unused, name) {
			continue
		}
		loaded += m.LoadedAs(name).Bytes(t.Len())
		if !m.File.Tied || name != "head.weight" { // which is then the embedding's bytes again
			stored += t.Type.Bytes(t.Len())
		}
	}
	return stored, loaded
}

// QuantSaves returns how many bytes fewer the model's weights would be if they were loaded as a block type.
func (m *Model) QuantSaves(want tensor.Type) int {
	saved := 0
	for name, typ := range m.QuantTypes(want) {
		n := m.File.Tensors[name].Len()
		saved += m.LoadedAs(name).Bytes(n) - typ.Bytes(n)
	}
	return saved
}

// QuantCost is what quantizing costs.
type QuantCost struct {
	KL         float64 // mean divergence of a token's distribution from that of the model as stored, in nats
	Perplexity float64 // the factor on the perplexity of text, which by chance may even fall
}

// QuantCosts has the cost of each type for the demo model, on the first 10,000 tokens of the stories that its training
// did not see (`rwkv-gpu eval --quants`, package eval's TestQuality).
var QuantCosts = map[tensor.Type]QuantCost{
	tensor.Q8_0: {0.000038, 1.0002}, tensor.Q6_K: {0.00035, 1.0000}, tensor.Q5_K: {0.0011, 1.0008},
	tensor.Q5_1: {0.00099, 1.0000}, tensor.Q5_0: {0.0014, 1.0008}, tensor.Q4_K: {0.0039, 1.0020}, tensor.Q4_1: {0.0039, 1.0026},
	tensor.IQ4_NL: {0.0044, 1.0032}, tensor.Q4_0: {0.0053, 1.0030}, tensor.Q3_K: {0.017, 1.0127},
}
