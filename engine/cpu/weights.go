package cpu

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// loaded are a program's weights, by operand ID. Matrices and tables are as they are stored, in their file where they
// lie in one. Vectors are float32.
type loaded struct {
	stored  [][]byte
	vectors [][]float32

	files  []*tensor.Watched // held
	copies [][]byte          // memory of stored ones that lie in no file
	floats []float32         // memory of vectors
}

// inRows reports which weights ops read by rows, as they are stored: the matrices of products and the tables.
func inRows(prog *op.Program) []bool {
	rows := make([]bool, len(prog.Operands))
	for _, s := range prog.Steps {
		switch o := s.Op.(type) {
		case *op.MatMul:
			for i := range o.Parts {
				rows[o.Parts[i].W.ID] = true
			}
		case *op.Embed:
			rows[o.Table.ID] = true
		case *op.DeepEmbed:
			rows[o.Table.ID] = true
		}
	}
	return rows
}

// vectorStride is how many elements of memory a vector of n takes: whole lines of a cache.
func vectorStride(n int) int { return (n + 15) &^ 15 }

// loader loads weights.
type loader struct {
	*loaded
	level kernel.Level
	pool  *pool
	used  int // of floats
}

// loadWeights loads a program's weights, checks that all are finite numbers, and tells progress, which may be nil, how
// many bytes of them are loaded.
func loadWeights(prog *op.Program, level kernel.Level, p *pool, progress func(done, all int64) error) (*loaded, error) {
	w := &loaded{stored: make([][]byte, len(prog.Operands)), vectors: make([][]float32, len(prog.Operands))}
	rows := inRows(prog)
	var done, all int64
	floats := 0
	for _, o := range prog.Of(op.Weight) {
		all += int64(o.Source.Type.Bytes(o.Width))
		if !rows[o.ID] {
			floats += vectorStride(o.Width)
		}
	}
	var err error
	if w.floats, err = kernel.Alloc(floats); err != nil {
		return w, err
	}
	l := &loader{loaded: w, level: level, pool: p}
	for _, o := range prog.Of(op.Weight) {
		if rows[o.ID] {
			w.stored[o.ID], err = l.rows(o.Source)
		} else {
			w.vectors[o.ID], err = l.vector(o.Source)
		}
		if err != nil {
			return w, err
		}
		done += int64(o.Source.Type.Bytes(o.Width))
		if progress != nil {
			if err := progress(done, all); err != nil {
				return w, err
			}
		}
	}
	return w, nil
}

// vector decodes a vector.
func (l *loader) vector(t *tensor.Tensor) ([]float32, error) {
	n := t.Len()
	f := l.floats[l.used : l.used+n : l.used+n]
	l.used += vectorStride(n)
	return f, t.Use(func(data []byte) error {
		if i := t.Type.CheckFinite(data); i >= 0 {
			return &op.NotFiniteError{Tensor: t.Name, Index: i}
		}
		t.Type.Decode(f, data)
		return nil
	})
}

// rows returns a matrix's bytes where they lie in a file that is held, or else a copy of them.
func (l *loader) rows(t *tensor.Tensor) ([]byte, error) {
	if !kernel.Reads(t.Type) {
		return nil, fmt.Errorf("weight %s: %w", t.Name, &kernel.MissingError{Field: "type", Value: t.Type})
	}
	data, err := t.Load()
	if err != nil {
		return nil, err
	}
	file := tensor.Hold(data)
	switch {
	case file == nil:
		own, err := kernel.AllocBytes(len(data))
		if err != nil {
			return nil, err
		}
		l.copies = append(l.copies, own)
		copy(own, data)
		data = own
	case slices.Contains(l.files, file):
		file.Release() // it is held already
	default:
		l.files = append(l.files, file)
	}
	at, err := l.checkFinite(t.Type, data)
	if file != nil {
		if changed := file.Changed(); changed != nil {
			return nil, changed
		}
	}
	if err == nil && at >= 0 {
		err = &op.NotFiniteError{Tensor: t.Name, Index: at}
	}
	return data, err
}

// changed returns an error if a file that is read has changed.
func (w *loaded) changed() error {
	for _, f := range w.files {
		if err := f.Changed(); err != nil {
			return err
		}
	}
	return nil
}

// close gives memory and files back.
func (w *loaded) close() {
	for _, f := range w.files {
		f.Release()
	}
	for _, c := range w.copies {
		kernel.Free(c)
	}
	kernel.Free(w.floats)
	*w = loaded{}
}

// fileError returns the error of the file that a kernel could not read. Other errors stay as they are.
func fileError(err error) error {
	if err == nil { // which costs no allocation
		return nil
	}
	var f *kernel.Fault
	if errors.As(err, &f) {
		if of := tensor.Fault(f.Addr); of != nil {
			return of
		}
	}
	return err
}
