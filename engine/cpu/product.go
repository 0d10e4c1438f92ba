package cpu

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// product is a MatMul. A unit is some rows of a part's matrix, for all vectors of the batch.
type product struct {
	level   kernel.Level
	workers int
	kind    op.Kind
	parts   []part
	columns *columns // of the only part, if it has some
	n       int      // vectors
	sparse  bool     // reports whether columns are read
}

type part struct {
	kernel *kernel.Part
	m, k   int
	bytes  int // of a row
	few    int // vectors, see kernel.Few
	rows   int // of a unit
	first  int // number of the first unit
}

const (
	unitBytes = 32 << 10 // about what a unit reads of a matrix for few vectors
	mostRows  = 1024     // that a call does for few vectors
	least     = 8        // rows of a unit for many vectors
)

// MatMul compiles a group of products.
func (c *compiler) MatMul(o *op.MatMul) error {
	p := &product{level: c.level, workers: len(c.pool.workers), kind: o.Parts[0].X.Of.Kind, parts: make([]part, len(o.Parts))}
	rowsOf := func(v op.View) kernel.Rows {
		if v.Of == nil {
			return kernel.Rows{}
		}
		return kernel.Rows{First: c.From(v), Stride: v.Of.Stride()}
	}
	for i := range o.Parts {
		x := &o.Parts[i]
		typ := x.W.Source.Type
		product := &kernel.Product{
			W: c.weights.stored[x.W.ID], Type: typ, M: x.Y.Len, K: x.X.Len, X: rowsOf(x.X), Scale: x.Factor(),
			Bias: c.vector(x.Bias), Act: x.Act, Combine: x.Combine, From: rowsOf(x.From), To: rowsOf(x.To), Y: rowsOf(x.Y),
		}
		if made, room := c.columnsOf(x, product.X); made != nil {
			p.columns, product.Columns, product.Tile = made, room, made.tile
		}
		if err := product.Check(); err != nil {
			return fmt.Errorf("weight %s: %w", x.W.Source.Name, err)
		}
		p.parts[i] = part{m: x.Y.Len, k: x.X.Len, bytes: typ.Bytes(x.X.Len), few: kernel.Few(typ), kernel: kernel.NewPart(product)}
	}
	c.made = p
	return nil
}

// productWork returns how many elements of memory a worker needs for a part.
func productWork(p *op.Part, s op.Sizes, sparse bool) int {
	m, k := p.Y.Len, p.X.Len
	most := s.Rows
	if p.X.Of.Kind == op.Out {
		most = s.Outs
	}
	n := kernel.WorkLen(min(m, mostRows), k, min(most, kernel.Few(p.W.Source.Type)))
	if most > 1 {
		n = max(n, kernel.WorkLen(kernel.Panel(k), k, most))
	}
	if sparse {
		n = max(n, kernel.SparseWorkLen(k))
	}
	return n
}

func (p *product) units(b *op.Batch) int {
	if p.n = b.Count(p.kind); p.n == 0 {
		return 0
	}
	if p.sparse = p.columns != nil && p.columns.use(p.n); p.sparse {
		return len(p.columns.made)
	}
	return p.rowUnits()
}

// rowUnits cuts the matrices, by rows, into units, and returns how many there are.
func (p *product) rowUnits() int {
	for i := range p.parts {
		x := &p.parts[i]
		x.rows = kernel.Panel(x.k)
		if p.n <= x.few {
			x.rows = min((unitBytes/x.bytes+3)&^3, mostRows)
		}
	}
	units := p.number()
	for units < 4*p.workers && p.halve() { // so that all workers are ready at about the same time
		units = p.number()
	}
	return units
}

// number numbers the units, and returns how many there are.
func (p *product) number() int {
	n := 0
	for i := range p.parts {
		x := &p.parts[i]
		x.first = n
		n += pieces(x.m, max(x.rows, 4))
	}
	return n
}

// halve makes units smaller, if they can be.
func (p *product) halve() (smaller bool) {
	for i := range p.parts {
		if x := &p.parts[i]; p.n > x.few && x.rows > least {
			x.rows = max(x.rows/2/least*least, least)
			smaller = true
		}
	}
	return smaller
}

func (p *product) do(w *worker, from, to int) error {
	if p.columns != nil && from == 0 {
		p.columns.see(p.n)
	}
	if p.sparse {
		return p.doSparse(w, from, to)
	}
	return p.doRows(w, from, to)
}

func (p *product) doSparse(w *worker, from, to int) error {
	x := &p.parts[0]
	if err := p.columns.write(p.level, x, from, to); err != nil {
		return err
	}
	p.level.SparseMatMul(x.kernel, from*p.columns.tile, min(to*p.columns.tile, x.m), p.n, w.work)
	return nil
}

func (p *product) doRows(w *worker, from, to int) error {
	for i := range p.parts {
		x := &p.parts[i]
		rows := max(x.rows, 4)
		first, last := max(from-x.first, 0)*rows, min((to-x.first)*rows, x.m)
		step := rows
		if p.n <= x.few {
			step = mostRows
		}
		for ; first < last; first += step {
			if err := p.level.MatMul(x.kernel, first, min(first+step, last), p.n, w.work); err != nil {
				return err
			}
		}
	}
	return nil
}
