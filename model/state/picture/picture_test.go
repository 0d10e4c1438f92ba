package picture_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/state/picture"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// oddSize has heads whose size is no multiple of most sizes of cells.
var oddSize = weightstest.Size{Vocab: 67, Embed: 24, Layers: 3, Head: 12, FFN: 20, W: 3, A: 5, V: 2, G: 7}

func open(t *testing.T, list []*tensor.Tensor) *model.Model {
	t.Helper()
	m, err := model.New(parse(t, weightstest.Safetensors(list, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func parse(t *testing.T, data []byte) *weights.File {
	t.Helper()
	f, err := weights.Parse("f", data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// drawn returns the picture of a state as a file.
func drawn(t *testing.T, m *model.Model, s *state.State, o picture.Options) *weights.File {
	t.Helper()
	data, err := picture.Encode(m, s, o)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, data)
}

// numbers returns a tensor of a file, which must have that shape.
func numbers(t *testing.T, f *weights.File, name string, shape ...int) []float32 {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x.Shape, shape) {
		t.Fatalf("%s has the shape %v, want %v", name, x.Shape, shape)
	}
	list, err := x.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// random returns a state of normal numbers.
func random(m *model.Model, seed uint64) *state.State {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := &state.State{Data: make([]float32, m.Program.StateLen()), Tokens: 34, Pending: state.None}
	for i := range s.Data {
		s.Data[i] = float32(rng.NormFloat64())
	}
	return s
}

// largest returns the number of the largest magnitude among those of a matrix within bounds.
func largest(x []float32, cols, top, bottom, left, right int) (v float32) {
	for i := top; i < bottom; i++ {
		for j := left; j < right; j++ {
			if y := x[i*cols+j]; math.Abs(float64(y)) > math.Abs(float64(v)) {
				v = y
			}
		}
	}
	return v
}

// edge returns where cell i of n begins among all numbers: the first number of which all*i/n is the cell.
func edge(i, n, all int) int { return (i*all + n - 1) / n }

// A picture has of each cell the number with the largest magnitude, and of each head its norm, of all that a state file has
// of the recurrent memory, in every version.
func TestCells(t *testing.T) {
	for _, version := range weightstest.Versions {
		m := open(t, weightstest.RWKV(version, oddSize, tensor.F16, 1))
		s := random(m, 2)
		data, err := state.Encode(m, s)
		if err != nil {
			t.Fatal(err)
		}
		file := parse(t, data)
		for _, size := range []int{1, 2, 5, 7, 12, 16} {
			f := drawn(t, m, s, picture.Options{Size: size, Layer: picture.All, Head: picture.All})
			if version == "v4" {
				for _, name := range []string{"att_aa", "att_bb", "att_pp"} {
					w := min(24, size*size)
					check(t, fmt.Sprint(version, name, size), numbers(t, file, "state."+name, 3, 24), 1, 24, numbers(t, f, "norms."+name, 3), numbers(t, f, "cells."+name, 3, w), 1, w)
				}
				continue
			}
			n := min(size, 12)
			whole := numbers(t, file, "state.att_kv", 3, 2, 12, 12)
			if file.Meta["layout"] == "key-major" {
				whole = transposed(whole, 12)
			}
			check(t, fmt.Sprint(version, size), whole, 12, 12, numbers(t, f, "norms.att_kv", 3, 2), numbers(t, f, "cells.att_kv", 3, 2, n, n), n, n)
			one := drawn(t, m, s, picture.Options{Size: size, Layer: 2, Head: 1})
			check(t, fmt.Sprint(version, size, "one head"), whole[(2*2+1)*144:][:144], 12, 12, numbers(t, one, "norms.att_kv", 1, 1), numbers(t, one, "cells.att_kv", 1, 1, n, n), n, n)
			for key, want := range map[string]string{"format": "rwkv-gpu picture", "model": version, "tokens": "34", "width": "12", "layer": "2", "head": "1"} {
				if got := one.Meta[key]; got != want {
					t.Errorf("%s: %s is %q, want %q", version, key, got, want)
				}
			}
		}
	}
}

// check compares the picture of matrices of rows * cols numbers, one after the other.
func check(t *testing.T, what string, whole []float32, rows, cols int, norms, cells []float32, h, w int) {
	t.Helper()
	for k, got := range norms {
		x, sum := whole[k*rows*cols:][:rows*cols], 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		if want := math.Sqrt(sum); math.Abs(float64(got)-want) > 1e-6*want {
			t.Errorf("%s: norm %d is %v, want %v", what, k, got, want)
		}
		for i := range h {
			for j := range w {
				want := tensor.BF16.Round(largest(x, cols, edge(i, h, rows), edge(i+1, h, rows), edge(j, w, cols), edge(j+1, w, cols)))
				if got := cells[(k*h+i)*w+j]; got != want {
					t.Errorf("%s: cell %d %d of %d is %v, want %v", what, i, j, k, got, want)
				}
			}
		}
	}
}

// transposed returns square matrices of n * n numbers the other way round.
func transposed(x []float32, n int) []float32 {
	out := make([]float32, len(x))
	for i := range x {
		at, r, c := i/(n*n)*n*n, i/n%n, i%n
		out[at+c*n+r] = x[i]
	}
	return out
}

// Rows are elements of the value, as they are in files of state tuning, whose layout the original implementation set.
func TestOrientation(t *testing.T) {
	for _, version := range []string{"v6", "v7"} {
		m := open(t, weightstest.RWKV(version, oddSize, tensor.F16, 1))
		rng := rand.New(rand.NewPCG(3, 1))
		var list []*tensor.Tensor
		var want []float32
		for layer := range 3 {
			x := make([]float32, 2*12*12)
			for i := range x {
				x[i] = tensor.BF16.Round(float32(rng.NormFloat64()))
			}
			want = append(want, x...)
			list = append(list, tensor.FromFloats("blocks."+strconv.Itoa(layer)+".att.time_state", []int{2, 12, 12}, x))
		}
		if _, err := m.BeginTuned(parse(t, weightstest.Safetensors(list, nil)), model.OriginalState); err != nil {
			t.Fatal(err)
		}
		begin, err := m.Program.InitialState()
		if err != nil {
			t.Fatal(err)
		}
		f := drawn(t, m, &state.State{Data: begin}, picture.Options{Size: 12, Layer: picture.All, Head: picture.All})
		if got := numbers(t, f, "cells.att_kv", 3, 2, 12, 12); !slices.Equal(got, want) {
			t.Errorf("%s: rows and columns are not those of the file", version)
		}
	}
}

// A model that has read nothing remembers nothing, in every version.
func TestNothingRead(t *testing.T) {
	for _, version := range weightstest.Versions {
		if version == "v6" { // whose models have an initial state here
			continue
		}
		m := open(t, weightstest.RWKV(version, oddSize, tensor.F16, 1))
		begin, err := m.Program.InitialState()
		if err != nil {
			t.Fatal(err)
		}
		if version == "v4" && slices.Max(begin) == slices.Min(begin) {
			t.Error("v4: want att_pp to begin apart from 0")
		}
		f := drawn(t, m, &state.State{Data: begin}, picture.Options{Size: 4, Layer: picture.All, Head: picture.All})
		for name, x := range f.Tensors {
			list, err := x.Floats()
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range list {
				if v != 0 {
					t.Errorf("%s: number %d of %s is %v", version, i, name, v)
				}
			}
		}
	}
}

// What does not fit the model is an error that says what does.
func TestOptions(t *testing.T) {
	v4 := open(t, weightstest.RWKV("v4", oddSize, tensor.F16, 1))
	v7 := open(t, weightstest.RWKV("v7", oddSize, tensor.F16, 1))
	for _, c := range []struct {
		m                 *model.Model
		size, layer, head int
		want              string
	}{
		{v7, -1, picture.All, picture.All, "size: want 1 to 836 for this model, got -1"},
		{v7, 837, picture.All, picture.All, "size: want 1 to 836 for this model, got 837"},
		{v7, 1 << 40, 0, 0, "size: want 1 to 2048 for this model, got 1099511627776"},
		{v7, 4, 3, picture.All, "layer: want 0 to 2, got 3"},
		{v7, 4, -2, picture.All, "layer: want 0 to 2, got -2"},
		{v7, 4, 1, 2, "head: want 0 to 1, got 2"},
		{v4, 4, 1, 0, "head: want none for this model, which has no heads, got 0"},
		{v4, 683, picture.All, picture.All, "size: want 1 to 682 for this model, got 683"},
	} {
		_, err := picture.Encode(c.m, random(c.m, 1), picture.Options{Size: c.size, Layer: c.layer, Head: c.head})
		var bad *picture.OptionError
		if !errors.As(err, &bad) || err.Error() != c.want {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
	if _, err := picture.Encode(v7, &state.State{Data: make([]float32, op.Pad)}, picture.Options{Size: 4, Layer: picture.All, Head: picture.All}); err == nil {
		t.Error("a state of another model has a picture")
	}
}
