package lora

import (
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// change is the change that one LoRA makes to one matrix.
type change interface {
	// open reads the LoRA's tensors. It returns a function that changes some rows of the matrix, from row first on.
	open() (func(first int, rows blas32.General), error)
	path() string
}

// pair adds scale B A.
type pair struct {
	*lora
	a, b  *tensor.Tensor // [r, in], [out, r]
	scale float32
}

func (l *lora) path() string { return l.Path }

func (p *pair) rank() int { return p.a.Shape[0] }

// pair returns the change to the weight w by the lora_A called name and its partner.
func (l *lora) pair(name string, w *tensor.Tensor) (change, error) {
	a, other := l.file.Tensors[name], partner(name)
	b, ok := l.file.Tensors[other]
	if !ok {
		return nil, l.fail(name, "partner", other, "no such tensor")
	}
	out, in := w.Shape[0], w.Shape[1]
	if len(a.Shape) != 2 || a.Shape[1] != in {
		return nil, l.fail(name, "shape", fmt.Sprintf("[r %d] for %s %v", in, w.Name, w.Shape), fmt.Sprint(a.Shape))
	}
	if r := a.Shape[0]; !slices.Equal(b.Shape, []int{out, r}) {
		return nil, l.fail(other, "shape", fmt.Sprintf("[%d %d], rank %d as in %s, for %s %v", out, r, r, lastPart(name), w.Name, w.Shape), fmt.Sprint(b.Shape))
	}
	s := l.scaleFor(w.Name)
	if lastPart(name) == "init_lora_A" {
		s = -s
	}
	return &pair{l, a, b, s}, nil
}

func (p *pair) open() (func(int, blas32.General), error) {
	a, err := p.finite(p.a).Floats()
	if err != nil {
		return nil, err
	}
	b, err := p.finite(p.b).Floats()
	if err != nil {
		return nil, err
	}
	r := p.rank()
	am := blas32.General{Rows: r, Cols: p.a.Shape[1], Stride: p.a.Shape[1], Data: a}
	return func(first int, rows blas32.General) {
		bm := blas32.General{Rows: rows.Rows, Cols: r, Stride: r, Data: b[first*r:]}
		blas32.Gemm(blas.NoTrans, blas.NoTrans, p.scale, bm, am, 1, rows)
	}, nil
}

// disha adds a function of D, in one of its two forms.
type disha struct {
	*lora
	d     *tensor.Tensor
	scale float32
}

// disha returns the change of the named tensor to the weight w.
func (l *lora) disha(name string, w *tensor.Tensor) (change, error) {
	d := l.file.Tensors[name]
	out, in := w.Shape[0], w.Shape[1]
	switch {
	case len(d.Shape) == 2 && d.Shape[1] == out:
	case len(d.Shape) == 3 && d.Shape[1] == d.Shape[2] && d.Shape[0]*d.Shape[1] == in && out%d.Shape[1] == 0:
	default:
		return nil, l.fail(name, "shape", fmt.Sprintf("[r %d], or [%d/r r r] with r a divisor of %d and %d, for %s %v", out, in, in, out, w.Name, w.Shape), fmt.Sprint(d.Shape))
	}
	return &disha{l, d, l.scaleFor(w.Name)}, nil
}

func (c *disha) open() (func(int, blas32.General), error) {
	d, err := c.finite(c.d).Floats()
	if err != nil {
		return nil, err
	}
	if len(c.d.Shape) == 2 {
		return func(first int, rows blas32.General) { c.bone(d, first, rows) }, nil
	}
	return func(first int, rows blas32.General) { c.bat(d, first, rows) }, nil
}

// bone adds D [r, out], transposed and repeated along each row.
func (c *disha) bone(d []float32, first int, rows blas32.General) {
	r, out := c.d.Shape[0], c.d.Shape[1]
	for o := range rows.Rows {
		row := rows.Data[o*rows.Stride:][:rows.Cols]
		for i := range row {
			row[i] += c.scale * d[i%r*out+first+o]
		}
	}
}

// bat adds W D + D for each block of r x r, where D [in/r, r, r] has one for each block of columns. Only the second D
// takes the weight's divisor.
func (c *disha) bat(d []float32, first int, rows blas32.General) {
	r := c.d.Shape[1]
	old := make([]float32, rows.Cols)
	for o := range rows.Rows {
		row := rows.Data[o*rows.Stride:][:rows.Cols]
		copy(old, row)
		for b := range rows.Cols / r {
			block, part := d[b*r*r:][:r*r], row[b*r:][:r]
			for j, w := range old[b*r:][:r] {
				for i := range part {
					part[i] += c.Scale * w * block[j*r+i]
				}
			}
			for i, v := range block[(first+o)%r*r:][:r] {
				part[i] += c.scale * v
			}
		}
	}
}

// mergedRows is how many rows of a matrix are changed at a time: many enough for a fast product, few enough to need
// little memory.
const mergedRows = 256

// changed returns w [out, in] with changes applied at each Load.
func changed(w *tensor.Tensor, changes []change) *tensor.Tensor {
	typ := w.Type
	if typ.IsBlock() {
		typ = tensor.F16
	}
	return tensor.From(w, typ, w.Shape, func(data []byte) ([]byte, error) {
		if i := w.Type.CheckFinite(data); i >= 0 {
			return nil, &op.NotFiniteError{Tensor: w.Name, Index: i}
		}
		var apply []func(int, blas32.General)
		for _, c := range changes {
			f, err := c.open()
			if err != nil {
				return nil, err
			}
			apply = append(apply, f)
		}
		out, in := w.Shape[0], w.Shape[1]
		result := make([]byte, typ.Bytes(out*in))
		buffer := make([]float32, min(mergedRows, out)*in)
		for first := 0; first < out; first += mergedRows {
			rows := blas32.General{Rows: min(mergedRows, out-first), Cols: in, Stride: in}
			rows.Data = buffer[:rows.Rows*in]
			w.Type.Decode(rows.Data, data[w.Type.Bytes(first*in):])
			for _, f := range apply {
				f(first, rows)
			}
			typ.Encode(result[typ.Bytes(first*in):], rows.Data)
		}
		if i := typ.CheckFinite(result); i >= 0 {
			last := changes[len(changes)-1].path()
			return nil, &weights.Error{File: last, Tensor: w.Name, Field: "value", Want: fmt.Sprintf("finite numbers in %s once merged", typ), Got: fmt.Sprintf("one beyond its range at [%d %d]", i/in, i%in)}
		}
		return result, nil
	})
}
