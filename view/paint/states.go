package paint

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// States says where the matrices of a model lie in the parts of a state.
type States struct {
	Shape  scene.Shape
	Turned bool // reports whether a matrix has a row for each key, and not a column

	layers []place
}

// place is where the matrices of a layer lie: bytes of a part.
type place struct{ part, at, size int }

// StatesOf returns where the matrices of a model lie. A model without matrices, which is RWKV-4, is an error.
func StatesOf(m *model.Model) (*States, error) {
	s := &States{Shape: scene.Shape{Layers: m.Layers, Heads: m.Heads, Size: m.HeadSize}, Turned: m.StateLayout() == "key-major"}
	for i := range m.Fields {
		f := &m.Fields[i]
		if len(f.Shape) != 3 {
			continue
		}
		p, err := placeOf(m.Program, f)
		if err != nil {
			return nil, err
		}
		s.layers = append(s.layers, p)
	}
	if len(s.layers) != m.Layers || m.Layers == 0 || m.Heads == 0 {
		return nil, fmt.Errorf("%s: want a version whose state has a matrix for each head (RWKV-5 to 8), got RWKV-%s", m.File.Path, m.Version[1:])
	}
	return s, nil
}

// placeOf finds a field among the program's state operands, which are the parts of a state.
func placeOf(prog *op.Program, f *model.Field) (place, error) {
	begin := 0
	for i, o := range prog.Of(op.State) {
		if f.Off >= begin && f.Off+f.Len() <= begin+o.Width {
			return place{i, 4 * (f.Off - begin), 4 * f.Len()}, nil
		}
		begin += o.Width
	}
	return place{}, fmt.Errorf("paint: layer %d: field %s lies in no part of the state", f.Layer, f.Name)
}

// of returns the matrices of a layer of a state.
func (s *States) of(state []gpu.Range, layer int) gpu.Range {
	p := s.layers[layer]
	r := state[p.part]
	return r.Buffer.Range(r.Offset+p.at, p.size)
}
