package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// State tuning trains, for each layer, the matrix state that a sequence begins with: blocks.N.att.time_state [H, N, N].
// It is alone in a file (RWKV-LM for v6, RWKV-PEFT for v6 and v7) or beside the weights. In every version its row is
// the element of the value and its column that of the key. So it is the transpose of a state that is stored key-major.

// timeState is the tensor of an initial state. A file may lack it.
var timeState = spec{name: "att.time_state", shape: "H N N", layer: true, optional: true}

// oriented returns a time_state in the version's own layout of states.
func (v *version) oriented(t *tensor.Tensor) *tensor.Tensor {
	if v.stateLayout == keyMajor {
		return t.Transposed()
	}
	return t
}

// tuned gives a state the initial values of a state-tuned model, if the model is one.
func (b *block) tuned(o *op.Operand) *op.Operand {
	if t := b.t(timeState.name); t != nil {
		o.InitialValues = b.version.oriented(op.Finite(t))
	}
	return o
}

// BeginWith makes sequences begin with a slot's state, float32[Program.StateLen()].
func (m *Model) BeginWith(state []float32) error {
	if want := m.Program.StateLen(); len(state) != want {
		return fmt.Errorf("state: want %d elements, got %d", want, len(state))
	}
	for _, o := range m.Program.Of(op.State) {
		o.InitialValues = tensor.FromFloats(o.Name, []int{o.Width}, state[:o.Width])
		state = state[o.Width:]
	}
	return nil
}

// Layouts of a file of state tuning. Their matrices are each other's transposes.
const (
	OriginalState = "original"
	WebRWKVState  = "web-rwkv"
)

// BeginTuned makes sequences begin with the matrices of a file of state tuning. layout is one of the two layouts, or ""
// for the layout that the file seems to have. assumed says what had to be assumed. Every error is a *weights.Error.
func (m *Model) BeginTuned(f *weights.File, layout string) (assumed string, err error) {
	fail := func(name, field, want, got string) (string, error) {
		return "", &weights.Error{File: f.Path, Tensor: name, Field: field, Want: want, Got: got}
	}
	if m.version.stateLayout == vectors {
		return fail("", "version", "a model with matrix states, RWKV-5 or later", m.version.title())
	}
	isState := func(name string) bool {
		return strings.HasPrefix(name, "blocks.") && strings.HasSuffix(name, "."+timeState.name)
	}
	if err := f.RefuseUnread(); err != nil {
		return "", err
	}
	for _, name := range f.Names() {
		if !isState(name) {
			return fail(name, "name", "only blocks.N."+timeState.name+", or a saved state", "this one")
		}
	}
	if n := countLayers(f); n != m.Layers {
		return fail("", "layers", fmt.Sprintf("%d, as in %s", m.Layers, m.File.Path), fmt.Sprint(n))
	}
	for i := range m.Fields {
		field := &m.Fields[i]
		if field.Name != "att_kv" {
			continue
		}
		name := fmt.Sprintf("blocks.%d.%s", field.Layer, timeState.name)
		t, err := f.Tensor(name)
		if err != nil {
			return "", err
		}
		if !slices.Equal(t.Shape, field.Shape) {
			return fail(name, "shape", fmt.Sprintf("%v (heads, head size, head size)", field.Shape), fmt.Sprint(t.Shape))
		}
		if err := f.CheckFinite(t); err != nil {
			return "", err
		}
		if layout != "" && (layout == WebRWKVState) != (f.Layout == WebRWKVState) {
			t = t.Transposed() // from the layout that the file seems to have
		}
		x, err := m.version.oriented(t).Floats()
		if err != nil {
			return "", err
		}
		field.of.InitialValues = tensor.FromFloats(name, t.Shape, x)
	}
	if layout == "" && strings.HasPrefix(f.Evidence, "assumed") {
		assumed = fmt.Sprintf("in the form of %s (%s)", f.Layout, f.Evidence)
	}
	return assumed, nil
}
