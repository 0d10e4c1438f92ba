package cpu

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// table is rows of a weight.
type table struct {
	typ   tensor.Type
	data  []byte
	width int // elements of a row
	bytes int // of a row
}

func (e *Exec) table(o *op.Operand, width int) table {
	typ := o.Source.Type
	return table{typ, e.weights.stored[o.ID], width, typ.Bytes(width)}
}

// decode converts a row to float32.
func (t *table) decode(level kernel.Level, dst []float32, row int) error {
	return level.Decode(t.typ, dst[:t.width], t.data[row*t.bytes:(row+1)*t.bytes])
}

// embed is an Embed. A unit is a row.
type embed struct {
	*op.Embed
	e            *Exec
	rows         table
	normW, normB []float32
}

// Embed compiles a look-up.
func (c *compiler) Embed(o *op.Embed) error {
	c.made = &embed{o, c.Exec, c.table(o.Table, o.Y.Width), c.vector(o.NormW), c.vector(o.NormB)}
	return nil
}

func (s *embed) units(b *op.Batch) int { return len(b.Tokens) }

func (s *embed) do(w *worker, from, to int) error {
	for i := from; i < to; i++ {
		y := s.e.Vec(s.Y.All(), i)
		x := y
		if s.Normed() {
			x = w.work[:len(y)]
		}
		if err := s.rows.decode(s.e.level, x, int(s.e.Batch.Tokens[i])); err != nil {
			return err
		}
		if s.Normed() {
			s.e.level.LayerNorm(y, x, s.normW, s.normB, s.Eps)
		}
	}
	return nil
}

// layerNorm is a LayerNorm. A unit is an out.
type layerNorm struct {
	*op.LayerNorm
	e            *Exec
	normW, normB []float32
}

// LayerNorm compiles a norm.
func (c *compiler) LayerNorm(o *op.LayerNorm) error {
	c.made = &layerNorm{o, c.Exec, c.vector(o.NormW), c.vector(o.NormB)}
	return nil
}

func (s *layerNorm) units(b *op.Batch) int { return len(b.Outs) }

func (s *layerNorm) do(_ *worker, from, to int) error {
	for i := from; i < to; i++ {
		s.e.level.LayerNorm(s.e.Vec(s.Y.All(), i), s.e.Vec(s.X.All(), int(s.e.Batch.Outs[i])), s.normW, s.normB, s.Eps)
	}
	return nil
}

// deepEmbed is a DeepEmbed. A unit is a row.
type deepEmbed struct {
	*op.DeepEmbed
	e    *Exec
	rows table
}

// DeepEmbed compiles a product with the token's matrix.
func (c *compiler) DeepEmbed(o *op.DeepEmbed) error {
	c.made = &deepEmbed{o, c.Exec, c.table(o.Table, o.H.Width*o.Y.Width)}
	return nil
}

func (s *deepEmbed) units(b *op.Batch) int { return len(b.Tokens) }

func (s *deepEmbed) do(w *worker, from, to int) error {
	matrix := w.work[:s.rows.width]
	for i := from; i < to; i++ {
		if err := s.rows.decode(s.e.level, matrix, int(s.e.Batch.Tokens[i])); err != nil {
			return err
		}
		s.e.level.DeepEmbed(s.e.Vec(s.Y.All(), i), s.e.Vec(s.H.All(), i), matrix)
	}
	return nil
}
