package vulkan

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// unit is one dispatch of a MatMul.
type unit struct {
	layout.Unit
	x, from, y hull
	first      int    // in the table of parts
	sparse     bool   // reports whether its input has many zeros
	panels     panels // made when a sparse form first runs
}

// hull is the smallest range of scratch that holds several operands.
type hull struct{ from, to int } // elements

func (h *hull) add(e *Exec, o *op.Operand) {
	at := e.plan.Offset[o.ID]
	if h.to == 0 {
		h.from = at
	}
	h.from, h.to = min(h.from, at), max(h.to, at+e.plan.Extent(o))
}

func (e *Exec) hullRange(h hull) gpu.Range {
	if h.to == 0 { // nothing is read: any range will do
		return e.scratch.Range(0, 4*op.Align)
	}
	return e.scratch.Range(4*h.from, 4*(h.to-h.from))
}

// MatMul uploads the group's matrices.
func (p *preparer) MatMul(o *op.MatMul) error {
	if _, done := p.ops.matMuls[o]; done { // one op may stand in several steps
		return nil
	}
	list, err := p.load.Units(o, p.kernels.shape.bounds(p.exact))
	if err != nil {
		return err
	}
	units := make([]unit, len(list))
	for i := range list {
		u := &units[i]
		u.Unit, u.first = list[i], len(p.parts)/partWords
		u.sparse = p.sparse[o] && u.onePlain()
		if err := p.place(u); err != nil {
			return err
		}
	}
	p.ops.matMuls[o] = units
	return nil
}

// bounds returns how large units may be. Where matmul_narrow is the usual form, a unit is no larger than it can bind.
func (s *kernelShape) bounds(exact bool) layout.Bounds {
	b := layout.Bounds{Band: s.band(exact), MostRows: s.mostRows()}
	if s.Narrow.Usual {
		b.Texels = s.TexelBytes
	}
	return b
}

// place finds the scratch of a unit's parts and describes them.
func (p *preparer) place(u *unit) error {
	for _, part := range u.Parts {
		u.x.add(p.Exec, part.X.Of)
		u.y.add(p.Exec, part.Y.Of)
		if part.Combine.ReadsFrom() {
			u.from.add(p.Exec, part.From.Of)
		}
		if part.Combine.ReadsTo() {
			u.from.add(p.Exec, part.To.Of)
		}
	}
	for _, part := range u.Parts {
		if err := p.describe(u, part); err != nil {
			return err
		}
	}
	return nil
}

const (
	partWords = 16 // of struct Part in shaders/lib/matmul.glsl
	noBias    = 0xffffffff
)

// describe appends a part's row to the table that the kernels read.
func (p *preparer) describe(u *unit, part layout.Part) error {
	at := func(h hull, v op.View, off int) uint32 { return uint32(p.plan.Offset[v.Of.ID] + v.Off + off - h.from) }
	bias := uint32(noBias)
	if part.Bias != nil {
		off, err := p.load.Vector(part.Bias)
		if err != nil {
			return err
		}
		bias = off + uint32(part.M0)
	}
	var from, fromStride, to, toStride uint32
	if part.Combine.ReadsFrom() {
		from, fromStride = at(u.from, part.From, part.M0), uint32(part.From.Of.Stride())
	}
	if part.Combine.ReadsTo() {
		to, toStride = at(u.from, part.To, part.M0), uint32(part.To.Of.Stride())
	}
	p.parts = append(p.parts,
		uint32(part.Row), uint32(part.Rows), uint32(layout.Words(part.W)), uint32(part.Weight/layout.WordBytes),
		at(u.x, part.X, 0)/4, uint32(part.X.Of.Stride()/4), at(u.y, part.Y, part.M0), uint32(part.Y.Of.Stride()),
		bias, uint32(part.Act), uint32(part.Combine), from,
		fromStride, to, toStride, math.Float32bits(part.Factor()))
	return nil
}

// MatMul records the group's dispatches with the kernel for its number of vectors.
func (r *recorder) MatMul(o *op.MatMul) error {
	n := uint32(r.shape.count(o.Parts[0].X.Of.Kind))
	if n == 0 {
		return nil
	}
	for i := range r.ops.matMuls[o] {
		if err := r.matMulUnit(&r.ops.matMuls[o][i], n); err != nil {
			return err
		}
	}
	return nil
}

func (r *recorder) matMulUnit(u *unit, n uint32) error {
	f, open := r.form(u, n)
	r.wish(open)
	if n == 1 && !r.exact {
		var err error
		if f, open, err = r.sparseForm(u, f); err != nil {
			return err
		}
		r.wish(open)
	}
	return r.product(r.rec, u, n, f)
}

// params0 returns the params, or in a program without any something else to bind.
func (e *Exec) params0() gpu.Range {
	if e.params == nil {
		return e.parts.All()
	}
	return e.params.All()
}
