package op

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

func (b *parts) wkv4() *WKV4 {
	return &WKV4{R: b.row(12), K: b.row(12), V: b.row(12), W: b.w(12), U: b.w(12),
		AA: b.slots(12), BB: b.slots(12), PP: b.slots(12), Y: b.row(12)}
}

func (b *parts) wkv6() *WKV6 {
	return &WKV6{Heads: 3, N: 4, R: b.row(12), K: b.row(12), V: b.row(12), W: b.row(12), U: b.w(3, 4), G: b.row(12),
		NormW: b.w(12), NormB: b.w(12), State: b.slots(48), Y: b.row(12)}
}

func (b *parts) deepEmbed() *DeepEmbed {
	return &DeepEmbed{H: b.row(5), Table: b.w(11, 60), Y: b.row(12)}
}

func TestCheckWKV4(t *testing.T) {
	tryFaults(t, "WKV4", (*parts).wkv4, []fault[*WKV4]{
		{"R: want a row, got none", func(_ *parts, o *WKV4) { o.R = nil }},
		{"K: want 12 elements", func(b *parts, o *WKV4) { o.K = b.row(13) }},
		{"V: want a row, got out", func(b *parts, o *WKV4) { o.V = b.out(12) }},
		{"W: want a weight, got row", func(b *parts, o *WKV4) { o.W = b.row(12) }},
		{"U: want 12 elements", func(b *parts, o *WKV4) { o.U = b.w(11) }},
		{"AA: want a state, got none", func(_ *parts, o *WKV4) { o.AA = nil }},
		{"BB: want 12 elements", func(b *parts, o *WKV4) { o.BB = b.slots(16) }},
		{"PP: want a state, got seq", func(b *parts, o *WKV4) { o.PP = b.seq(12) }},
		{"Y: want a row, got none", func(_ *parts, o *WKV4) { o.Y = nil }},
	})
}

func TestCheckWKV6(t *testing.T) {
	tryFaults(t, "WKV6", (*parts).wkv6, []fault[*WKV6]{
		{"N: want a positive multiple of 4, got 6", func(_ *parts, o *WKV6) { o.N, o.Heads = 6, 2 }},
		{"Heads: want a positive number, got 0", func(_ *parts, o *WKV6) { o.Heads = 0 }},
		{"R: want a row, got none", func(_ *parts, o *WKV6) { o.R = nil }},
		{"K: want 12 elements", func(b *parts, o *WKV6) { o.K = b.row(13) }},
		{"V: want a row, got out", func(b *parts, o *WKV6) { o.V = b.out(12) }},
		{"W: want a row, got none", func(_ *parts, o *WKV6) { o.W = nil }},
		{"W: want 12 elements", func(b *parts, o *WKV6) { o.W = b.w(3) }},
		{"W: want 12 elements", func(b *parts, o *WKV6) { o.W = b.row(16) }},
		{"U: want 12 elements", func(b *parts, o *WKV6) { o.U = b.w(3) }},
		{"G: want 12 elements", func(b *parts, o *WKV6) { o.G = b.row(3) }},
		{"NormW: want 12 elements", func(b *parts, o *WKV6) { o.NormW = b.w(3) }},
		{"NormB: want a weight, got none", func(_ *parts, o *WKV6) { o.NormB = nil }},
		{"State: want 48 elements", func(b *parts, o *WKV6) { o.State = b.slots(144) }},
		{"Y: want 12 elements", func(b *parts, o *WKV6) { o.Y = b.row(16) }},
	})
	var b parts
	o := b.wkv6()
	o.G, o.W = nil, b.w(12)
	if err := o.Check(); err != nil {
		t.Errorf("one decay and no gate: %v", err)
	}
}

func TestCheckDeepEmbed(t *testing.T) {
	tryFaults(t, "DeepEmbed", (*parts).deepEmbed, []fault[*DeepEmbed]{
		{"H: want a row, got none", func(_ *parts, o *DeepEmbed) { o.H = nil }},
		{"Y: want a row, got out", func(b *parts, o *DeepEmbed) { o.Y = b.out(12) }},
		{"Y: want a width that is a multiple of 4, got 15", func(b *parts, o *DeepEmbed) { o.Y, o.H = b.row(15), b.row(4) }},
		{"Table: want shape [0 60], got w F32[11 64]", func(b *parts, o *DeepEmbed) { o.Table = b.w(11, 64) }},
		{"Table: want a weight, got none", func(_ *parts, o *DeepEmbed) { o.Table = nil }},
	})
}

// A combination wants the operands that it reads, and no others.
func TestCheckCombine(t *testing.T) {
	one := func(b *parts) *MatMul {
		return &MatMul{Parts: []Part{{W: b.w(7, 24), X: b.row(24).All(), Y: b.row(7).All()}}}
	}
	for _, c := range []struct {
		combine  Combine
		from, to bool
	}{{Set, false, false}, {Add, true, false}, {Lerp, true, true}, {Gate, true, true}, {Mul, true, false}} {
		var b parts
		o := one(&b)
		o.Parts[0].Combine = c.combine
		if err := o.Check(); (err == nil) == c.from || c.from && !strings.Contains(err.Error(), "From: want a view") {
			t.Errorf("%s without operands: %v", c.combine, err)
		}
		o.Parts[0].From = b.row(7).All()
		if err := o.Check(); (err == nil) == c.to || c.to && !strings.Contains(err.Error(), "To: want a view") {
			t.Errorf("%s without To: %v", c.combine, err)
		}
		o.Parts[0].To = b.row(7).All()
		if err := o.Check(); err != nil {
			t.Errorf("%s with operands: %v", c.combine, err)
		}
		reads := map[string]bool{}
		o.Operands(func(name string, _ View, _ Access) { reads[name] = true })
		if reads["From"] != c.from || reads["To"] != c.to {
			t.Errorf("%s reads %v", c.combine, reads)
		}
	}
}

// A fresh slot's state: one number for all elements or a value for each, which have to be finite and as many.
func TestInitialState(t *testing.T) {
	var b Builder
	b.State("a", 3, -1e30)
	o := b.State("b", 2, 7)
	o.InitialValues = tensor.FromFloats("v", []int{2}, []float32{4, 5})
	prog := b.Unchecked()
	got, err := prog.InitialState()
	if want := []float32{-1e30, -1e30, -1e30, 4, 5}; err != nil || !slices.Equal(got, want) {
		t.Errorf("want %v, got %v (%v)", want, got, err)
	}
	o.InitialValues = tensor.FromBytes("v", tensor.F32, []int{2}, []byte{0, 0, 0, 0, 0, 0, 0x80, 0x7f})
	var bad *NotFiniteError
	if _, err := prog.InitialState(); !errors.As(err, &bad) || bad.Tensor != "v" || bad.Index != 1 {
		t.Errorf("an infinite value: %v", err)
	}
	o.InitialValues = tensor.FromFloats("v", []int{3}, []float32{4, 5, 6})
	if _, err := prog.InitialState(); err == nil || !strings.Contains(err.Error(), "want 2 initial values, got 3") {
		t.Errorf("too many values: %v", err)
	}
}
