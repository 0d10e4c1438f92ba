package weights

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// LlamaLayout is how llama.cpp stores a version: the inverse of the layout that reads it.
type LlamaLayout struct {
	name   string
	layout *layout
	mixes  []string // the vectors of the fused mixes, in order
	order  []string // a layer's tensors in the order of llama.cpp's converter; fusedMixes stands for those
	// standIns are tensors of which layer 0 holds a copy under the name of another, which it lacks.
	standIns map[string]string
}

const fusedMixes = "fused"

// LlamaRWKV6 is the layout of RWKV-6.
var LlamaRWKV6 = &LlamaLayout{name: "rwkv6", layout: &llamaV6, mixes: lettered("att.time_maa_", "wkvrg"),
	order: strings.Fields(`ln1.weight ln1.bias ln2.weight ln2.bias ln0.weight ln0.bias
		att.time_maa_x fused att.time_maa_w1 att.time_maa_w2 att.time_decay att.time_decay_w1 att.time_decay_w2 att.time_faaaa
		att.receptance.weight att.key.weight att.value.weight att.output.weight att.gate.weight att.ln_x.weight att.ln_x.bias
		ffn.time_maa_k ffn.time_maa_r ffn.key.weight ffn.receptance.weight ffn.value.weight`)}

// LlamaRWKV7 is the layout of RWKV-7.
var LlamaRWKV7 = &LlamaLayout{name: "rwkv7", layout: &llamaV7, mixes: lettered("att.x_", "rwkvag"),
	order: strings.Fields(`ln1.weight ln1.bias ln2.weight ln2.bias ln0.weight ln0.bias
		fused att.w0 att.w1 att.w2 att.a1 att.a2 att.a0 att.v1 att.v2 att.v0 att.g1 att.g2 att.k_k att.k_a att.r_k
		att.receptance.weight att.key.weight att.value.weight att.output.weight att.ln_x.weight att.ln_x.bias
		ffn.x_k ffn.key.weight ffn.value.weight`),
	standIns: map[string]string{"att.a0": "att.v0", "att.a1": "att.v1", "att.a2": "att.v2"}}

// Name returns llama.cpp's name for the architecture.
func (f *LlamaLayout) Name() string { return f.name }

func lettered(stem, letters string) (names []string) {
	for _, l := range letters {
		names = append(names, stem+string(l))
	}
	return names
}

// llamaF32 are the parts of names of tensors that llama.cpp's converter always stores as F32, beside vectors.
var llamaF32 = []string{"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2", "time_faaaa", "w1", "w2"}

// llamaPlain are those that llama.cpp never quantizes.
var llamaPlain = []string{"a1", "a2", "v1", "v2", "g1", "g2"}

// Stored returns a model's tensors, which come under their original names and in their original shapes, without
// dimensions of 1, as llama.cpp names, turns, joins and orders them. types says what to store a tensor as, by original
// name; others stay as they are, but for what llama.cpp has as F32 or does not quantize. Tensors that llama.cpp has no
// place for are left out.
func (f *LlamaLayout) Stored(layers int, tensors map[string]*tensor.Tensor, types map[string]tensor.Type) []Stored {
	w := llamaWriter{LlamaLayout: f, tensors: tensors, types: types, names: map[string]string{}}
	for llama, original := range w.layout.scheme.parts {
		w.names[original] = llama
	}
	for llama, original := range llamaWhole {
		w.names[original] = llama
	}
	w.global("emb.weight")
	for i := range layers {
		w.layer(i)
	}
	for _, name := range []string{"ln_out.weight", "ln_out.bias", "head.weight"} {
		w.global(name)
	}
	return w.out
}

// llamaWriter is the state of Stored.
type llamaWriter struct {
	*LlamaLayout
	tensors map[string]*tensor.Tensor
	types   map[string]tensor.Type
	names   map[string]string // llama.cpp's, by the original name without blocks.N. or the last part
	out     []Stored
}

// named returns llama.cpp's name for an original name without blocks.N.
func (w *llamaWriter) named(part string) string {
	if n, ok := w.names[part]; ok {
		return n
	}
	dot := strings.LastIndexByte(part, '.')
	if n, ok := w.names[part[:max(dot, 0)]]; ok {
		return n + part[dot:]
	}
	return part + ".weight"
}

func (w *llamaWriter) global(name string) { w.add(w.named(name), name, w.tensors[name]) }

func (w *llamaWriter) layer(i int) {
	blocks, blk := fmt.Sprintf("blocks.%d.", i), fmt.Sprintf("blk.%d.", i)
	for _, part := range w.order {
		t := w.tensors[blocks+part]
		switch {
		case part == fusedMixes:
			w.out = append(w.out, Stored{w.fuse(blk, blocks), tensor.F32})
			continue
		case strings.HasPrefix(part, "ln0."):
			if i == 0 {
				w.global(blocks + part)
			}
			continue
		case t == nil:
			continue // layer 0 lacks some, and a copy of another stands in
		}
		if as, ok := w.standIns[part]; ok && i == 0 {
			w.add(blk+w.named(as), blocks+part, t)
		}
		w.add(blk+w.named(part), blocks+part, t)
	}
}

// add appends the tensor of an original name in llama.cpp's form.
func (w *llamaWriter) add(name, original string, t *tensor.Tensor) {
	part := lastPart(original)
	if slices.Contains(w.layout.swapped, part) {
		t = t.Transposed()
	}
	if part == "r_k" {
		t = t.Reshaped(t.Len())
	}
	as := t.Type
	if want := w.types[original]; want != 0 && (!want.IsBlock() || !slices.Contains(llamaPlain, part)) {
		as = want
	}
	if len(t.Shape) < 2 || slices.Contains(llamaF32, part) {
		as = tensor.F32
	}
	w.out = append(w.out, Stored{tensor.New(name, t.Type, t.Shape, t.Load), as})
}

// fuse joins a layer's mixes as F32[n, 1, 1, C].
func (w *llamaWriter) fuse(blk, blocks string) *tensor.Tensor {
	list := make([]*tensor.Tensor, len(w.mixes))
	for i, m := range w.mixes {
		list[i] = w.tensors[blocks+m]
	}
	width := list[0].Len()
	return tensor.New(blk+"time_mix_lerp_fused.weight", tensor.F32, []int{len(list), 1, 1, width}, func() ([]byte, error) {
		size := tensor.F32.Bytes(width)
		out := make([]byte, size*len(list))
		for i, t := range list {
			x, err := t.Floats()
			if err != nil {
				return nil, err
			}
			tensor.F32.Encode(out[i*size:(i+1)*size], x)
		}
		return out, nil
	})
}
