// Package picture makes small files of states, to be looked at: what each layer and head remembers, in a few cells.
//
// A picture is safetensors. For each field of the recurrent memory it has two tensors:
//
//	norms.FIELD  F32, the root of the sum of squares of a head's matrix, or of a layer's vector
//	cells.FIELD  BF16, of each cell the number with the largest magnitude, with its sign
//
// RWKV-5 and later have the field att_kv: norms [L H] and cells [L H S S]. A cell's row is the element of the value and
// its column that of the key, in all versions. RWKV-4 has the vectors att_aa, att_bb and att_pp: norms [L] and cells [L W].
// An att_pp that has seen nothing counts as 0. The vectors of the token shift are no part of a picture.
//
// Annotations say the rest:
//
//	format     "rwkv-gpu picture"
//	model      the version of RWKV
//	tokens     how many tokens were fed
//	width      N, the rows and the columns of a head's whole matrix, or the length of a vector in RWKV-4
//	layer      the number of the first layer in the picture, from 0
//	head       that of the first head, if there are heads
package picture

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// All is the layer or head of Options that stands for all of them.
const All = -1

// DefaultSize is the size that Options means by 0.
const DefaultSize = 16

// mostCells bounds a picture to 8 MiB.
const mostCells = 1 << 22

// Options say what a picture has.
type Options struct {
	Size  int // cells on each side of a head, at most its N; a vector has at most Size * Size cells; 0 is DefaultSize
	Layer int // All, or the only one
	Head  int // All, or the only one, which RWKV-4 does not have
}

// OptionError is the error of an option that does not fit the model.
type OptionError struct{ Field, Want, Got string }

func (e *OptionError) Error() string { return e.Field + ": want " + e.Want + ", got " + e.Got }

// Encode returns the picture of a sequence of m. An error is an *OptionError, or the state does not fit the model.
func Encode(m *model.Model, s *state.State, o Options) ([]byte, error) {
	if want := m.Program.StateLen(); len(s.Data) != want {
		return nil, fmt.Errorf("state: want %d elements, got %d", want, len(s.Data))
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	d := drawing{transposed: m.StateLayout() == "key-major", size: o.Size}
	var err error
	if d.layers, err = chosen("layer", o.Layer, m.Layers); err != nil {
		return nil, err
	}
	if d.heads, err = chosen("head", o.Head, m.Heads); err != nil {
		return nil, err
	}
	per := d.heads.n()
	if m.Heads == 0 {
		per = len(vectors)
	}
	most := int(math.Sqrt(float64(mostCells / (d.layers.n() * per))))
	if o.Size < 1 || o.Size > most {
		return nil, &OptionError{"size", fmt.Sprintf("1 to %d for this model", most), strconv.Itoa(o.Size)}
	}
	meta := map[string]string{"format": "rwkv-gpu picture", "model": m.Version, "tokens": strconv.Itoa(s.Tokens), "layer": strconv.Itoa(d.layers.from)}
	if m.Heads > 0 {
		meta["head"] = strconv.Itoa(d.heads.from)
	}
	for i := range m.Fields {
		f := &m.Fields[i]
		if strings.HasSuffix(f.Name, "_x") || f.Layer < d.layers.from || f.Layer >= d.layers.to {
			continue // of the token shift, or not asked for
		}
		meta["width"] = strconv.Itoa(f.Shape[len(f.Shape)-1])
		d.add(f, s.Data[f.Off:f.Off+f.Len()])
	}
	return d.file(meta)
}

// vectors are the fields of RWKV-4's memory.
var vectors = []string{"att_aa", "att_bb", "att_pp"}

// span are numbers from the first to before the last.
type span struct{ from, to int }

func (s span) n() int { return s.to - s.from }

// chosen returns the one of n that is asked for, or all of them.
func chosen(field string, i, n int) (span, error) {
	switch {
	case i == All:
		return span{0, n}, nil
	case n == 0:
		return span{}, &OptionError{field, "none for this model, which has no heads", strconv.Itoa(i)}
	case i < 0 || i >= n:
		return span{}, &OptionError{field, fmt.Sprintf("0 to %d", n-1), strconv.Itoa(i)}
	}
	return span{i, i + 1}, nil
}

// drawing is a picture under way.
type drawing struct {
	layers, heads span
	size          int
	transposed    bool // reports whether rows of matrices are elements of the key
	fields        []*drawn
}

// drawn is a field of all layers so far.
type drawn struct {
	name         string
	shape        []int // of a layer's cells
	norms, cells []float32
}

// add adds a layer's field.
func (d *drawing) add(f *model.Field, x []float32) {
	to := d.of(f.Name)
	if len(f.Shape) == 1 {
		x = append([]float32(nil), x...)
		for i, v := range x {
			if v <= op.MinExponent {
				x[i] = 0
			}
		}
		w := min(len(x), d.size*d.size)
		to.shape = []int{w}
		to.norms = append(to.norms, norm(x))
		to.cells = append(to.cells, shrunk(x, 1, len(x), 1, w, false)...)
		return
	}
	n := f.Shape[1]
	size := min(n, d.size)
	to.shape = []int{d.heads.n(), size, size}
	for h := d.heads.from; h < d.heads.to; h++ {
		matrix := x[h*n*n : (h+1)*n*n]
		to.norms = append(to.norms, norm(matrix))
		to.cells = append(to.cells, shrunk(matrix, n, n, size, size, d.transposed)...)
	}
}

// of returns the drawn field of a name.
func (d *drawing) of(name string) *drawn {
	for _, f := range d.fields {
		if f.name == name {
			return f
		}
	}
	d.fields = append(d.fields, &drawn{name: name})
	return d.fields[len(d.fields)-1]
}

// norm returns the root of the sum of squares.
func norm(x []float32) float32 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return float32(math.Sqrt(sum))
}

// shrunk returns a matrix of rows * cols numbers, or its transpose, as h rows of w cells. Each has of its numbers the one
// with the largest magnitude.
func shrunk(x []float32, rows, cols, h, w int, transposed bool) []float32 {
	cells := make([]float32, h*w)
	for i, v := range x {
		r, c := i/cols, i%cols
		if transposed {
			r, c = c, r // only square ones are
		}
		if cell := &cells[r*h/rows*w+c*w/cols]; max(v, -v) > max(*cell, -*cell) {
			*cell = v
		}
	}
	return cells
}

// file returns the picture as a file.
func (d *drawing) file(meta map[string]string) ([]byte, error) {
	var list []weights.Stored
	for _, f := range d.fields { // whose elements have four bytes, and so are first
		shape := append([]int{d.layers.n()}, f.shape[:len(f.shape)/2]...) // a vector's has no heads
		list = append(list, weights.Stored{Tensor: tensor.FromFloats("norms."+f.name, shape, f.norms), As: tensor.F32})
	}
	for _, f := range d.fields {
		shape := append([]int{d.layers.n()}, f.shape...)
		list = append(list, weights.Stored{Tensor: tensor.FromFloats("cells."+f.name, shape, f.cells), As: tensor.BF16})
	}
	out, err := weights.Safetensors(list, meta)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := out.Write(&b, nil); err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return b.Bytes(), nil
}
