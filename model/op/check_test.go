package op

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// parts builds operands for the ops of the tables below.
type parts struct{ Builder }

func (b *parts) w(shape ...int) *Operand {
	return b.Weight(tensor.FromFloats("w", shape, nil), shape...)
}
func (b *parts) row(n int) *Operand   { return b.Scratch("row", Row, n) }
func (b *parts) out(n int) *Operand   { return b.Scratch("out", Out, n) }
func (b *parts) seq(n int) *Operand   { return b.Scratch("seq", Seq, n) }
func (b *parts) slots(n int) *Operand { return b.State("state", n, 0) }

func (b *parts) embed() *Embed {
	return &Embed{Table: b.w(11, 12), NormW: b.w(12), NormB: b.w(12), Y: b.row(12)}
}

func (b *parts) layerNorm() *LayerNorm {
	return &LayerNorm{X: b.row(12), NormW: b.w(12), NormB: b.w(12), Y: b.out(12)}
}

func (b *parts) shiftMix() *ShiftMix {
	return &ShiftMix{X: b.row(12), NormW: b.w(12), NormB: b.w(12), Mix: []*Operand{b.w(12), b.w(12)},
		State: b.slots(32), StateOff: 16, Last: b.seq(32), Y: b.row(32)}
}

func (b *parts) shiftCommit() *ShiftCommit { return &ShiftCommit{Last: b.seq(32), State: b.slots(32)} }

func (b *parts) matMul() *MatMul {
	x, from := b.row(24), b.row(7)
	return &MatMul{Parts: []Part{
		{W: b.w(5, 12), X: x.Slice(8, 12), Bias: b.w(5), Act: Decay, Y: b.row(5).All()},
		{W: b.w(7, 24), X: x.All(), Combine: Lerp, From: from.All(), To: b.row(7).All(), Y: from.All()},
	}}
}

func (b *parts) wkv7() *WKV7 {
	return &WKV7{Heads: 3, N: 4, R: b.row(12), W: b.row(12), K: b.row(12), V: b.row(12), A: b.row(12), G: b.row(12),
		KK: b.w(12), KA: b.w(12), RK: b.w(3, 4), NormW: b.w(12), NormB: b.w(12), State: b.slots(48), Y: b.row(12)}
}

// fault is one way to spoil an op, and a part of the error that it gets.
type fault[O Op] struct {
	want  string
	spoil func(b *parts, o O)
}

func tryFaults[O Op](t *testing.T, name string, build func(b *parts) O, list []fault[O]) {
	t.Helper()
	var b parts
	if err := build(&b).Check(); err != nil {
		t.Errorf("%s as it should be: %v", name, err)
	}
	for _, f := range list {
		o := build(&b)
		f.spoil(&b, o)
		err := o.Check()
		if err == nil || !strings.Contains(err.Error(), f.want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: want an error with %q, got %v", name, f.want, err)
		}
	}
}

func TestCheckNorms(t *testing.T) {
	tryFaults(t, "Embed", (*parts).embed, []fault[*Embed]{
		{"Table: want shape [0 12], got w F32[11 13]", func(b *parts, o *Embed) { o.Table = b.w(11, 13) }},
		{"Table: want a weight, got none", func(_ *parts, o *Embed) { o.Table = nil }},
		{"Table: want shape", func(b *parts, o *Embed) { o.Table = b.w(132) }},
		{"NormW: want 12 elements", func(b *parts, o *Embed) { o.NormW = b.w(11) }},
		{"NormB: want a weight, got row row[12]", func(b *parts, o *Embed) { o.NormB = b.row(12) }},
		{"Y: want a row, got out out[12]", func(b *parts, o *Embed) { o.Y = b.out(12) }},
		{"Y: want a row, got none", func(_ *parts, o *Embed) { o.Y = nil }},
	})
	tryFaults(t, "LayerNorm", (*parts).layerNorm, []fault[*LayerNorm]{
		{"X: want a row, got none", func(_ *parts, o *LayerNorm) { o.X = nil }},
		{"X: want a row, got out", func(b *parts, o *LayerNorm) { o.X = b.out(12) }},
		{"NormW: want 12 elements", func(b *parts, o *LayerNorm) { o.NormW = b.w(24) }},
		{"NormB: want a weight, got none", func(_ *parts, o *LayerNorm) { o.NormB = nil }},
		{"Y: want 12 elements, got out out[13]", func(b *parts, o *LayerNorm) { o.Y = b.out(13) }},
		{"Y: want a out, got row", func(b *parts, o *LayerNorm) { o.Y = b.row(12) }},
	})
}

func TestCheckShift(t *testing.T) {
	tryFaults(t, "ShiftMix", (*parts).shiftMix, []fault[*ShiftMix]{
		{"X: want a row, got none", func(_ *parts, o *ShiftMix) { o.X = nil }},
		{"NormW: want 12 elements", func(b *parts, o *ShiftMix) { o.NormW = b.w(16) }},
		{"NormB: want 12 elements", func(b *parts, o *ShiftMix) { o.NormB = b.w(16) }},
		{"Mix: want 1 to 6 vectors, got 0", func(_ *parts, o *ShiftMix) { o.Mix = nil }},
		{"Mix: want 1 to 6 vectors, got 7", func(_ *parts, o *ShiftMix) { o.Mix = make([]*Operand, 7) }},
		{"Mix: want 12 elements", func(b *parts, o *ShiftMix) { o.Mix[1] = b.w(5) }},
		{"State: want a state, got seq", func(b *parts, o *ShiftMix) { o.State = b.seq(32) }},
		{"StateOff: want a place inside State, got -1", func(_ *parts, o *ShiftMix) { o.StateOff = -1 }},
		{"StateOff: want a place inside State, got 21", func(_ *parts, o *ShiftMix) { o.StateOff = 21 }},
		{"Last: want 32 elements", func(b *parts, o *ShiftMix) { o.Last = b.seq(16) }},
		{"Last: want a seq, got row", func(b *parts, o *ShiftMix) { o.Last = b.row(32) }},
		{"Y: want 32 elements", func(b *parts, o *ShiftMix) { o.Y = b.row(24) }},
	})
	tryFaults(t, "ShiftCommit", (*parts).shiftCommit, []fault[*ShiftCommit]{
		{"Last: want a seq, got none", func(_ *parts, o *ShiftCommit) { o.Last = nil }},
		{"State: want 32 elements", func(b *parts, o *ShiftCommit) { o.State = b.slots(40) }},
		{"State: want a state, got seq", func(b *parts, o *ShiftCommit) { o.State = b.seq(32) }},
	})
}

func TestCheckMatMul(t *testing.T) {
	tryFaults(t, "MatMul", (*parts).matMul, []fault[*MatMul]{
		{"Parts: want 1 to 8, got 0", func(_ *parts, o *MatMul) { o.Parts = nil }},
		{"Parts: want 1 to 8, got 9", func(_ *parts, o *MatMul) { o.Parts = make([]Part, 9) }},
		{"part 0: W: want a weight, got none", func(_ *parts, o *MatMul) { o.Parts[0].W = nil }},
		{"part 1: W: want shape [7 24], got w F32[24 7]", func(b *parts, o *MatMul) { o.Parts[1].W = b.w(24, 7) }},
		{"part 0: W: want shape [5 12], got w F32[60]", func(b *parts, o *MatMul) { o.Parts[0].W = b.w(60) }},
		{"part 0: X: want a view, got none", func(_ *parts, o *MatMul) { o.Parts[0].X = View{Len: 12} }},
		{"part 0: X: want a part of", func(_ *parts, o *MatMul) { o.Parts[0].X.Off = 4 }},
		{"part 0: X: want a part of", func(_ *parts, o *MatMul) { o.Parts[0].X.Off = 16 }},
		{"part 0: X: want a part of", func(_ *parts, o *MatMul) { o.Parts[0].X.Off = -8 }},
		{"part 1: X: want a row, got out", func(b *parts, o *MatMul) { o.Parts[1].X = b.out(24).All() }},
		{"part 0: X: want a", func(b *parts, o *MatMul) { o.Parts[0].X = b.seq(12).All() }},
		{"part 1: Y: want a view, got none", func(_ *parts, o *MatMul) { o.Parts[1].Y = View{Len: 7} }},
		{"part 1: Y: want a row, got out", func(b *parts, o *MatMul) { o.Parts[1].Y = b.out(7).All() }},
		{"part 0: Bias: want 5 elements", func(b *parts, o *MatMul) { o.Parts[0].Bias = b.w(7) }},
		{"part 0: Act: want a known activation, got Act(7)", func(_ *parts, o *MatMul) { o.Parts[0].Act = actEnd }},
		{"part 1: Combine: want a known combination, got Combine(5)", func(_ *parts, o *MatMul) { o.Parts[1].Combine = combineEnd }},
		{"part 1: From: want a view, got none", func(_ *parts, o *MatMul) { o.Parts[1].From = View{} }},
		{"part 1: From: want 7, got 6", func(_ *parts, o *MatMul) { o.Parts[1].From.Len = 6 }},
		{"part 1: To: want a view, got none", func(_ *parts, o *MatMul) { o.Parts[1].To = View{} }},
		{"part 1: To: want a row, got seq", func(b *parts, o *MatMul) { o.Parts[1].To = b.seq(7).All() }},
		{"part 1: X: want nothing that part 0 writes", func(b *parts, o *MatMul) {
			o.Parts[1].X, o.Parts[1].W = o.Parts[0].Y, b.w(7, 5)
		}},
		{"part 0: X: want nothing that part 1 writes", func(_ *parts, o *MatMul) {
			o.Parts[0].W, o.Parts[1].Y = o.Parts[1].W, o.Parts[0].X.Of.Slice(16, 7)
			o.Parts[0].X, o.Parts[0].Y = o.Parts[1].X, o.Parts[1].To
			o.Parts[0].Bias = nil
		}},
		{"part 0: X: want nothing that part 0 writes", func(b *parts, o *MatMul) { o.Parts[0].Y = o.Parts[0].X.Of.Slice(16, 5) }},
		{"part 1: From: want nothing that part 1 writes", func(b *parts, o *MatMul) {
			o.Parts[1].Y, o.Parts[1].From = b.row(30).Slice(0, 7), View{}
			o.Parts[1].From = View{Of: o.Parts[1].Y.Of, Off: 0, Len: 7}
			o.Parts[1].Y.Off, o.Parts[1].From.Off = 8, 8
			o.Parts[1].W, o.Parts[1].Y.Len, o.Parts[1].From.Len, o.Parts[1].To = b.w(9, 24), 9, 9, b.row(9).All()
			o.Parts[1].From.Off = 16
		}},
		{"part 0: Y: want nothing that part 1 writes", func(b *parts, o *MatMul) {
			o.Parts[1].Y, o.Parts[1].From, o.Parts[1].To = o.Parts[0].Y, o.Parts[0].Y, o.Parts[0].Y
			o.Parts[1].W = b.w(5, 24)
		}},
	})
}

func TestCheckWKV7(t *testing.T) {
	tryFaults(t, "WKV7", (*parts).wkv7, []fault[*WKV7]{
		{"N: want a positive multiple of 4, got 0", func(_ *parts, o *WKV7) { o.N = 0 }},
		{"N: want a positive multiple of 4, got 6", func(_ *parts, o *WKV7) { o.N, o.Heads = 6, 2 }},
		{"Heads: want a positive number, got -1", func(_ *parts, o *WKV7) { o.Heads = -1 }},
		{"R: want a row, got none", func(_ *parts, o *WKV7) { o.R = nil }},
		{"W: want 12 elements", func(b *parts, o *WKV7) { o.W = b.row(13) }},
		{"K: want a row, got out", func(b *parts, o *WKV7) { o.K = b.out(12) }},
		{"V: want 12 elements", func(b *parts, o *WKV7) { o.V = b.row(8) }},
		{"A: want 12 elements", func(b *parts, o *WKV7) { o.A = b.row(8) }},
		{"G: want a row, got w F32[12]", func(b *parts, o *WKV7) { o.G = b.w(12) }},
		{"KK: want 12 elements", func(b *parts, o *WKV7) { o.KK = b.w(3) }},
		{"KA: want a weight, got none", func(_ *parts, o *WKV7) { o.KA = nil }},
		{"RK: want 12 elements", func(b *parts, o *WKV7) { o.RK = b.w(4, 4) }},
		{"NormW: want 12 elements", func(b *parts, o *WKV7) { o.NormW = b.w(4) }},
		{"NormB: want 12 elements", func(b *parts, o *WKV7) { o.NormB = b.w(4) }},
		{"State: want 48 elements", func(b *parts, o *WKV7) { o.State = b.slots(36) }},
		{"Y: want 12 elements", func(b *parts, o *WKV7) { o.Y = b.row(16) }},
	})
}
