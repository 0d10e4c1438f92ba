package model

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// block emits the ops of one layer.
type block struct {
	*op.Builder
	version *version
	file    *weights.File
	cfg     *Config
	layer   int
	tensors map[string]*tensor.Tensor // by full name, shapes checked
	fields  *[]Field

	x           *op.Operand // row [C]: the residual stream
	shift, last *op.Operand // state and seq [2*Layers*Stride(C)]: the token shifts' memory
	constants   map[float32]*op.Operand
	vFirst      op.View // RWKV-7: layer 0's value, which later layers mix in
}

// build makes the program of a model whose tensors have been checked.
func build(v *version, f *weights.File, cfg *Config, tensors map[string]*tensor.Tensor) (*op.Program, []Field, error) {
	var fields []Field
	b := &block{Builder: new(op.Builder), version: v, file: f, cfg: cfg, tensors: tensors, fields: &fields,
		constants: make(map[float32]*op.Operand)}
	c, stride := cfg.Embed, op.Stride(cfg.Embed)
	b.x = b.Scratch("x", op.Row, c)
	b.shift = b.State("shift", 2*cfg.Layers*stride, 0)
	b.last = b.Scratch("shift.last", op.Seq, 2*cfg.Layers*stride)
	for l := range cfg.Layers {
		fields = append(fields,
			Field{Name: "att_x", Layer: l, Shape: []int{c}, of: b.shift, off: 2 * l * stride},
			Field{Name: "ffn_x", Layer: l, Shape: []int{c}, of: b.shift, off: (2*l + 1) * stride})
	}
	embed := &op.Embed{Table: b.global("emb.weight"), Y: b.x, Eps: cfg.NormEps}
	if !f.EmbeddingNormed {
		embed.NormW, embed.NormB = b.global("blocks.0.ln0.weight"), b.global("blocks.0.ln0.bias")
	}
	b.Emit(-1, "emb", embed)
	for b.layer = range cfg.Layers {
		v.timeMix(b)
		v.channelMix(b)
	}
	b.Emit(-1, "shift", &op.ShiftCommit{Last: b.last, State: b.shift})
	out, logits := b.Scratch("out", op.Out, c), b.Scratch("logits", op.Out, cfg.Vocab)
	b.Emit(-1, "ln_out", &op.LayerNorm{X: b.x, Y: out, Eps: cfg.NormEps,
		NormW: b.global("ln_out.weight"), NormB: b.global("ln_out.bias")})
	b.Emit(-1, "head", &op.MatMul{Parts: []op.Part{{W: b.global("head.weight"), X: out.All(), Y: logits.All()}}})
	prog, err := b.Program(logits, cfg.Vocab)
	if err != nil {
		return nil, nil, err
	}
	at := make(map[*op.Operand]int)
	n := 0
	for _, o := range prog.Of(op.State) {
		at[o] = n
		n += o.Width
	}
	for i := range fields {
		fields[i].Off = at[fields[i].of] + fields[i].off
	}
	return prog, fields, nil
}

func (b *block) full(name string) string { return fmt.Sprintf("blocks.%d.%s", b.layer, name) }

// global returns a weight outside the layers.
func (b *block) global(name string) *op.Operand {
	t := b.tensors[name]
	return b.Weight(t, t.Shape...)
}

// t returns a tensor of the layer. It is nil if the file lacks an optional tensor.
func (b *block) t(name string) *tensor.Tensor { return b.tensors[b.full(name)] }

// w returns a weight of the layer, as it is stored.
func (b *block) w(name string) *op.Operand { return b.weightOf(b.t(name)) }

// ws returns several weights of the layer.
func (b *block) ws(names ...string) []*op.Operand {
	list := make([]*op.Operand, len(names))
	for i, name := range names {
		list[i] = b.w(name)
	}
	return list
}

// wT returns a weight of the layer that is stored [in, out].
func (b *block) wT(name string) *op.Operand { return b.weightOf(op.Finite(b.t(name)).Transposed()) }

// row returns new scratch of one vector a row.
func (b *block) row(name string, width int) *op.Operand {
	return b.Scratch(b.full(name), op.Row, width)
}

// state returns a new state operand. All its elements are initial at first.
func (b *block) state(field string, shape []int, initial float32) *op.Operand {
	n := 1
	for _, d := range shape {
		n *= d
	}
	o := b.State(b.full(field), n, initial)
	*b.fields = append(*b.fields, Field{Name: field, Layer: b.layer, Shape: shape, of: o})
	return o
}

func (b *block) emit(name string, o op.Op) { b.Emit(b.layer, b.full(name), o) }

// shiftMix emits the norm and token shift that begin the time mix ("att") or channel mix ("ffn"). The coefficients are
// those of the previous token.
func (b *block) shiftMix(mix, norm string, coefficients []*op.Operand) *op.ShiftMix {
	stride := op.Stride(b.cfg.Embed)
	half := 0
	if mix == "ffn" {
		half = 1
	}
	o := &op.ShiftMix{X: b.x, NormW: b.w(norm + ".weight"), NormB: b.w(norm + ".bias"), Eps: b.cfg.NormEps,
		State: b.shift, StateOff: (2*b.layer + half) * stride, Last: b.last,
		Mix: coefficients, Y: b.row(mix+".mixed", len(coefficients)*stride)}
	b.emit(mix+".shift", o)
	return o
}

// residual returns the product that adds W * y to the residual stream. Files for fp16 have W divided by a power of two,
// and a program that reads them halves the stream as it grows. Here the product is multiplied instead, which float32
// does exactly.
func (b *block) residual(name string, y *op.Operand) op.Part {
	return op.Part{W: b.w(name), X: y.All(), Scale: float32(b.file.Divisor(b.full(name))), Combine: op.Add, From: b.x.All(), Y: b.x.All()}
}
