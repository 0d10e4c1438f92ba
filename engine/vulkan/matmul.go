package vulkan

import (
	"math"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// stored is how a unit's weights lie on the device.
type stored struct {
	typ  tensor.Type
	band int // see kernelShape
}

// unit is one dispatch of a MatMul: parts of one storage type whose weights lie in one buffer.
type unit struct {
	stored
	w           gpu.Range
	x, from, y  hull
	first       int // in the table of parts
	count       int
	rows        int // of all parts, each rounded up to rowAlign
	parts       []unitPart
	weightBytes int
	sparse      bool   // its input has many zeros
	panels      panels // made when a sparse form first runs
}

// unitPart is a part, or some rows of it.
type unitPart struct {
	*op.Part
	m0, rows int
	row      int // in the dispatch
	weight   int // byte offset
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

// MatMul uploads the group's matrices, those of one type together, cut where the device's binding limit is reached.
func (p *preparer) MatMul(o *op.MatMul) error {
	if _, done := p.ops.matMuls[o]; done { // one op may stand in several steps
		return nil
	}
	var units []unit
	for _, typ := range slices.Concat(tensor.Types, tensor.BlockTypes) {
		var list []unitPart
		for i := range o.Parts {
			if part := &o.Parts[i]; part.W.Source.Type == typ {
				list = append(list, unitPart{Part: part, rows: part.Y.Len})
			}
		}
		cut, err := p.cut(typ, list)
		if err != nil {
			return err
		}
		for i := range cut {
			if err := p.uploadUnit(&cut[i]); err != nil {
				return err
			}
			cut[i].sparse = p.sparse[o] && cut[i].onePlain()
		}
		units = append(units, cut...)
	}
	p.ops.matMuls[o] = units
	return nil
}

// cut distributes parts over units that each fit a binding and, by their rows, a dispatch.
func (p *preparer) cut(typ tensor.Type, list []unitPart) ([]unit, error) {
	var units []unit
	most := p.kernels.shape.mostRows()
	for _, part := range list {
		rowBytes := rowBytesOf(part.W)
		band := p.bandOf(rowBytes)
		limit, bandBytes := p.unitBytes(rowBytes)-weightPad*band, rowBytes*band
		if _, err := p.rowsWithin(part.W, rowBytes, limit); err != nil {
			return nil, err
		}
		for part.rows > 0 {
			if last := len(units) - 1; last < 0 || units[last].band != band || units[last].weightBytes+bandBytes > limit ||
				units[last].rows >= most {
				units = append(units, unit{stored: stored{typ, band}})
			}
			u := &units[len(units)-1]
			piece := part
			piece.rows = min(part.rows, (limit-u.weightBytes)/bandBytes*band, most-u.rows)
			piece.row, piece.weight = u.rows, u.weightBytes
			u.parts = append(u.parts, piece)
			u.weightBytes += bandsOf(piece.rows, band) * bandBytes
			u.rows += (piece.rows + rowAlign - 1) / rowAlign * rowAlign
			part.m0, part.rows = part.m0+piece.rows, part.rows-piece.rows
		}
	}
	return units, nil
}

// bandOf returns the band for rows of so many bytes: the device's, unless one of it does not fit a binding.
func (p *preparer) bandOf(rowBytes int) int {
	if band := p.kernels.shape.band; band*(rowBytes+weightPad) <= p.unitBytes(rowBytes) {
		return band
	}
	return 1
}

// bandsOf returns how many bands hold so many rows.
func bandsOf(rows, band int) int { return (rows + band - 1) / band }

func (p *preparer) uploadUnit(u *unit) error {
	pad := weightPad * u.band
	b, err := p.buffer(u.parts[0].W.Name, u.weightBytes+pad, gpu.DeviceLocal)
	if err != nil {
		return err
	}
	p.weights = append(p.weights, b)
	if err := p.dev.Upload(b.Range(u.weightBytes, pad), make([]byte, pad)); err != nil {
		return err
	}
	u.w, u.first, u.count = b.All(), len(p.parts)/partWords, len(u.parts)
	for _, part := range u.parts {
		m, err := p.matrix(part.W)
		if err != nil {
			return err
		}
		m.band = u.band
		if err := m.upload(b, part.weight, part.m0, part.rows); err != nil {
			return err
		}
		u.x.add(p.Exec, part.X.Of)
		u.y.add(p.Exec, part.Y.Of)
		if part.Combine.ReadsFrom() {
			u.from.add(p.Exec, part.From.Of)
		}
		if part.Combine.ReadsTo() {
			u.from.add(p.Exec, part.To.Of)
		}
	}
	for _, part := range u.parts {
		if err := p.describe(u, part); err != nil {
			return err
		}
	}
	return nil
}

// weightPad is how many bytes of zeros lie behind a unit's weights: matmul_reg reads the last row to a multiple of 64
// elements, or of a superblock. Of a band, it is as much for each row.
const weightPad = 512

const (
	partWords = 16 // of struct Part in shaders/lib/matmul.glsl
	noBias    = 0xffffffff
)

// describe appends a part's row to the table that the kernels read.
func (p *preparer) describe(u *unit, part unitPart) error {
	at := func(h hull, v op.View, off int) uint32 { return uint32(p.plan.Offset[v.Of.ID] + v.Off + off - h.from) }
	bias := uint32(noBias)
	if part.Bias != nil {
		off, err := p.vector(part.Bias)
		if err != nil {
			return err
		}
		bias = off + uint32(part.m0)
	}
	var from, fromStride, to, toStride uint32
	if part.Combine.ReadsFrom() {
		from, fromStride = at(u.from, part.From, part.m0), uint32(part.From.Of.Stride())
	}
	if part.Combine.ReadsTo() {
		to, toStride = at(u.from, part.To, part.m0), uint32(part.To.Of.Stride())
	}
	p.parts = append(p.parts,
		uint32(part.row), uint32(part.rows), uint32(unitsOf(part.W)), uint32(part.weight/wordBytes),
		at(u.x, part.X, 0)/4, uint32(part.X.Of.Stride()/4), at(u.y, part.Y, part.m0), uint32(part.Y.Of.Stride()),
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
	if n == 1 {
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
