// Package model knows the versions of RWKV: which tensors each has, how large they are, and the program of ops that one
// batch of tokens runs through. It knows no device.
package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Model is a checked model file with its program.
type Model struct {
	Config
	File    *weights.File
	Program *op.Program
	Fields  []Field  // the parts of a slot's state
	Unused  []string // tensors of the file that the version does not use

	// Quantized has the types that Options.Quant loads tensors as, by name, if they differ from the file's.
	Quantized map[string]tensor.Type
	Unfit     []string // tensors that Options.Quant leaves alone only since their rows are not whole blocks

	version    *version
	tensors    map[string]*tensor.Tensor // in use, as the file stores them
	parameters int
	id         func() (string, error)
	roles      map[string]role // of the tensors in use, by name, except those that are kept
}

// Field is a part of a slot's state.
type Field struct {
	Name  string // att_x, ffn_x, att_kv
	Layer int
	Shape []int
	Off   int // of its first element in the slot's state

	of  *op.Operand
	off int
}

// Len returns the number of elements.
func (f *Field) Len() int {
	n := 1
	for _, d := range f.Shape {
		n *= d
	}
	return n
}

// Options say what a file does not say about itself. The zero value is right for nearly all files.
type Options struct {
	// GroupNormEps is the epsilon of the norm over each head. 0 stands for the one that the file states, or the original
	// implementation's. Only some RWKV-5 models need another one and do not say so: 1e-5, if they were made for rwkv.cpp.
	GroupNormEps float32
	// Quant is the block type to quantize to while loading, as QuantTypes says. 0 keeps all types.
	Quant tensor.Type
}

// EpsError reports a GroupNormEps for a version that has only one.
type EpsError struct{ Path, Version string }

func (e *EpsError) Error() string {
	return fmt.Sprintf("only RWKV-5 has it, %s is %s", e.Path, e.Version)
}

// Open opens a model file and checks it.
func Open(path string) (*Model, error) { return OpenWith(path, Options{}) }

// OpenWith opens a model file with options and checks it.
func OpenWith(path string, o Options) (*Model, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := NewWith(f, o)
	if err != nil {
		_ = f.Close() // the error that counts is err
		return nil, err
	}
	return m, nil
}

// New detects the version of the model in f, checks every tensor's shape, and builds the program. An executor reads the
// weights later.
func New(f *weights.File) (*Model, error) { return NewWith(f, Options{}) }

// NewWith is New with options.
func NewWith(f *weights.File, o Options) (*Model, error) {
	v, err := detect(f)
	if err != nil {
		return nil, err
	}
	if o.GroupNormEps != 0 && !v.ownEps {
		return nil, &EpsError{f.Path, v.name}
	}
	m := &Model{File: f, version: v, Config: Config{Version: v.name, NormEps: OriginalNormEps, Layers: countLayers(f)}, roles: make(map[string]role)}
	if m.Layers == 0 {
		return nil, &weights.Error{File: f.Path, Field: "layers", Want: "tensors named blocks.N.*", Got: "none"}
	}
	if err := v.refuseAdditions(f); err != nil {
		return nil, err
	}
	found, d, err := m.collect(v)
	if err != nil {
		return nil, err
	}
	m.tensors = maps.Clone(found)
	if err := m.quantize(found, o.Quant); err != nil {
		return nil, err
	}
	m.Embed, m.Vocab, m.FFN = d["C"], d["V"], d["F"]
	if err := v.derive(&m.Config, d); err != nil {
		err.File = f.Path
		return nil, err
	}
	if err := m.stated(o); err != nil {
		return nil, err
	}
	for name, t := range f.Tensors {
		if found[name] != nil {
			if !f.Tied || name != "head.weight" {
				m.parameters += t.Len()
			}
		} else {
			m.Unused = append(m.Unused, name)
		}
	}
	m.Unused = slices.AppendSeq(m.Unused, maps.Keys(f.Unread))
	slices.Sort(m.Unused)
	if m.Program, m.Fields, err = build(v, f, &m.Config, found); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	m.id = sync.OnceValues(m.identify)
	return m, nil
}

// StateLayout returns how a slot's state stores matrices: "value-major", "key-major", or "vectors" if it has none.
func (m *Model) StateLayout() string { return m.version.stateLayout }

// Close releases the model's File. The program's weights cannot be loaded any more.
func (m *Model) Close() error { return m.File.Close() }

// Parameters returns the number of elements of the file's tensors that the model uses.
func (m *Model) Parameters() int { return m.parameters }

// countLayers returns one more than the highest N of the tensors blocks.N.*.
func countLayers(f *weights.File) int {
	layers := 0
	for _, name := range allNames(f) {
		var n int
		if _, err := fmt.Sscanf(name, "blocks.%d.", &n); err == nil && n >= layers && n < 1<<16 {
			layers = n + 1
		}
	}
	return layers
}

// collect returns the version's tensors, with checked shapes, and the sizes that follow from the shapes.
func (m *Model) collect(v *version) (map[string]*tensor.Tensor, dims, error) {
	found, d := make(map[string]*tensor.Tensor), make(dims)
	add := func(prefix string, s *spec) error {
		name := prefix + s.name
		if _, ok := m.File.Tensors[prefix+s.or]; ok && s.or != "" {
			name = prefix + s.or
		}
		_, there := m.File.Tensors[name]
		if _, unread := m.File.Unread[name]; s.optional && !there && !unread {
			return nil
		}
		t, err := m.File.Tensor(name)
		if err != nil {
			return missing(err)
		}
		pattern := s.sizes()
		t = squeeze(t, len(pattern))
		want, ok := d.match(pattern, t.Shape)
		if !ok {
			return &weights.Error{File: m.File.Path, Tensor: name, Field: "shape", Want: want, Got: fmt.Sprint(t.Shape)}
		}
		found[name] = t
		if s.quant != kept {
			m.roles[name] = s.quant
		}
		return nil
	}
	for i := range globals {
		if m.File.EmbeddingNormed && strings.HasPrefix(globals[i].name, "blocks.0.ln0.") {
			continue
		}
		if err := add("", &globals[i]); err != nil {
			return nil, nil, err
		}
	}
	for l := range m.Layers {
		for _, s := range slices.Concat(norms, v.tensors) {
			if l < s.from {
				continue
			}
			if err := add(fmt.Sprintf("blocks.%d.", l), &s); err != nil {
				return nil, nil, err
			}
		}
	}
	return found, d, nil
}

// Tensors returns the tensors that the model uses, as the file stores them, by name, without dimensions of 1. The map
// is the caller's.
func (m *Model) Tensors() map[string]*tensor.Tensor { return maps.Clone(m.tensors) }

// InOriginalShape returns t, a tensor of the model's file, in the shape that the version's original files give it.
func (m *Model) InOriginalShape(t *tensor.Tensor) *tensor.Tensor {
	_, part, ok := layerOf(t.Name)
	i := slices.IndexFunc(m.version.tensors, func(s spec) bool { return s.is(part) })
	if ok && i >= 0 && len(t.Shape) == 1 && strings.HasPrefix(m.version.tensors[i].shape, vectorPrefix) {
		return t.Reshaped(1, 1, t.Shape[0])
	}
	return t
}

// Llama returns how llama.cpp's GGUF files store the model's version. It is nil if llama.cpp does not have the version.
func (m *Model) Llama() *Llama { return m.version.llama }

// squeeze drops trailing, then leading dimensions of 1 down to rank n.
func squeeze(t *tensor.Tensor, n int) *tensor.Tensor {
	shape := t.Shape
	for len(shape) > n && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	for len(shape) > n && shape[0] == 1 {
		shape = shape[1:]
	}
	if len(shape) == len(t.Shape) {
		return t
	}
	return t.Reshaped(shape...)
}
