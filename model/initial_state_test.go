package model

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// tunedStates returns a time_state for each layer, of different numbers.
func tunedStates(m *Model, typ tensor.Type) []*tensor.Tensor {
	var list []*tensor.Tensor
	for l := range m.Layers {
		x := make([]float32, m.Heads*m.HeadSize*m.HeadSize)
		for i := range x {
			x[i] = float32(l*len(x)+i) / 64 // exact in F16
		}
		data := make([]byte, typ.Bytes(len(x)))
		typ.Encode(data, x)
		list = append(list, tensor.FromBytes(fmt.Sprintf("blocks.%d.att.time_state", l), typ, []int{m.Heads, m.HeadSize, m.HeadSize}, data))
	}
	return list
}

// floats returns the numbers of the named tensor.
func floats(t *testing.T, list []*tensor.Tensor, name string) []float32 {
	t.Helper()
	x, err := list[weightstest.Index(t, list, name)].Floats()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// bare returns a random model's tensors without initial states.
func bare(version string) []*tensor.Tensor {
	return weightstest.Stateless(weightstest.RWKV(version, weightstest.Tiny, tensor.F16, 3))
}

// begin has sequences of m begin with the file of state tuning at path, and returns the state and what was assumed.
func begin(t *testing.T, m *Model, path, layout string) ([]float32, string) {
	t.Helper()
	assumed, err := beginTuned(m, path, layout)
	if err != nil {
		t.Fatal(err)
	}
	return initial(t, m), assumed
}

func beginTuned(m *Model, path, layout string) (assumed string, err error) {
	f, err := weights.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	return m.BeginTuned(f, layout)
}

func initial(t *testing.T, m *Model) []float32 {
	t.Helper()
	s, err := m.Program.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// In a file of state tuning, row i of a head's matrix is of element i of the value, column j of element j of the key:
// in RWKV-5 and 6 as in 7. A file of web-rwkv has it the other way round. The rest of the state is zero. The same
// matrices inside the model's file do the same.
func TestInitialStateFile(t *testing.T) {
	for version := range allVersions {
		list := bare(version)
		plain := modelOf(t, list)
		if plain.Heads == 0 {
			continue
		}
		states := tunedStates(plain, tensor.F16)
		var swapped []*tensor.Tensor
		for _, x := range states {
			swapped = append(swapped, x.Transposed())
		}
		begun := map[string][]float32{"inside": initial(t, modelOf(t, append(list, states...)))}
		for name, path := range map[string]string{"PyTorch": weightstest.Write(t, "s.pth", states), "web-rwkv": weightstest.Write(t, "s.state", swapped)} {
			var assumed string
			if begun[name], assumed = begin(t, modelOf(t, list), path, ""); (assumed != "") != (name == "web-rwkv") {
				t.Errorf("%s: %q", name, assumed)
			}
		}
		for name, got := range begun {
			checkTuned(t, version+" "+name, plain, states, got)
		}
	}
}

// checkTuned compares a state with a model's time_state tensors.
func checkTuned(t *testing.T, name string, m *Model, states []*tensor.Tensor, got []float32) {
	t.Helper()
	want := make([]float32, m.Program.StateLen())
	n := m.HeadSize
	for _, f := range m.Fields {
		if f.Name != "att_kv" {
			continue
		}
		x := floats(t, states, fmt.Sprintf("blocks.%d.att.time_state", f.Layer))
		for i := range f.Len() {
			head, value, key := i/(n*n), i/n%n, i%n
			if m.StateLayout() == keyMajor {
				value, key = key, value
			}
			want[f.Off+i] = x[(head*n+value)*n+key]
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: another state", name)
	}
}

// A file replaces the state inside the model.
func TestInitialStateReplaces(t *testing.T) {
	plain := modelOf(t, bare("v6"))
	states := tunedStates(plain, tensor.BF16)
	got, _ := begin(t, modelOf(t, weightstest.RWKV("v6", weightstest.Tiny, tensor.F16, 3)), weightstest.Write(t, "s.pth", states), "")
	checkTuned(t, "v6", plain, states, got)
}

// A file that does not fit the model is refused with an error that names it, the tensor, and what was wanted and found.
func TestInitialStateErrors(t *testing.T) {
	m := modelOf(t, bare("v7"))
	states := tunedStates(m, tensor.F32)
	const second = "blocks.1.att.time_state"
	with := func(x *tensor.Tensor) []*tensor.Tensor { return []*tensor.Tensor{states[0], x} }
	nan := tensor.New(second, tensor.BF16, states[1].Shape, func() ([]byte, error) {
		return slices.Concat(make([]byte, 2*511), []byte{0xc0, 0x7f}), nil
	})
	for _, c := range []struct{ version, path, want string }{
		{"v7", weightstest.Write(t, "s.pth", states[:1]), "layers: want 2, as in made.safetensors, got 1"},
		{"v7", weightstest.Write(t, "s.pth", states[1:]), "tensor blocks.0.att.time_state: missing from the file (it has blocks.1.att.time_state)"},
		{"v7", weightstest.Write(t, "s.pth", append(with(states[1]), weightstest.Ones("blocks.2.att.time_state", 2, 16, 16))), "layers: want 2, as in made.safetensors, got 3"},
		{"v7", weightstest.Write(t, "s.pth", with(weightstest.Ones(second, 4, 8, 8))), "tensor " + second + ": shape: want [2 16 16] (heads, head size, head size), got [4 8 8]"},
		{"v7", weightstest.Write(t, "s.pth", with(nan)), "tensor " + second + ": value: want finite numbers, got NaN at [1 15 15]"},
		{"v7", weightstest.Write(t, "s.pth", append(with(states[1]), weightstest.Ones("emb.weight", 3))), "tensor emb.weight: name: want only blocks.N.att.time_state, or a saved state, got this one"},
		{"v4", weightstest.Write(t, "s.pth", states), "version: want a model with matrix states, RWKV-5 or later, got RWKV-4"},
	} {
		_, err := beginTuned(modelOf(t, bare(c.version)), c.path, "")
		var e *weights.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.path+": "+c.want) {
			t.Errorf("want %q, got %v", c.path+": "+c.want, err)
		}
	}
}

// The initial states of the reference models, in a file of their own as training and as web-rwkv's converter write
// them, do what they do inside the model, whose results the original implementation confirms.
func TestSharedInitialState(t *testing.T) {
	for _, file := range []string{"v6-C64-state.pth_bf16.pth", "v6-C64-state.st"} {
		f, err := weights.Open(reference.Shared(t, "vectors", "models", "v6-C64-state", file))
		if err != nil {
			t.Fatal(err)
		}
		own, err := New(f)
		if err != nil {
			t.Fatal(err)
		}
		var states []*tensor.Tensor
		without := *f
		without.Tensors = maps.Clone(f.Tensors)
		for _, name := range f.Names() {
			if x := f.Tensors[name]; strings.HasSuffix(name, "time_state") {
				if delete(without.Tensors, name); strings.HasSuffix(file, ".st") {
					x = x.Transposed() // as stored
				}
				states = append(states, x)
			}
		}
		path := filepath.Join(t.TempDir(), filepath.Base(file))
		data := weightstest.Torch{}.File(states)
		if strings.HasSuffix(file, ".st") {
			data = weightstest.Safetensors(states, map[string]string{"format": "pt"})
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := New(&without)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := begin(t, m, path, "")
		if want := initial(t, own); !slices.Equal(got, want) || !slices.ContainsFunc(want, func(v float32) bool { return v != 0 }) {
			t.Errorf("%s: another state", file)
		}
		_ = f.Close()
	}
}

// A LoRA or an initial state is no model, and is called what it is.
func TestNotModel(t *testing.T) {
	m := modelOf(t, bare("v7"))
	for want, list := range map[string][]*tensor.Tensor{
		"a LoRA": weightstest.LoRA(bare("v7"), 2, tensor.F16, 1), "an initial state": tunedStates(m, tensor.F32), "tensors of none (1, the first named x)": {weightstest.Ones("x", 2)},
	} {
		if _, err := New(parse(t, list)); err == nil || !strings.Contains(err.Error(), ", got "+want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A file of nothing but states in F16 is taken for web-rwkv's, which is said; the layout can be given instead, for this
// and any other file of state tuning.
func TestStateLayout(t *testing.T) {
	list := bare("v7")
	states := tunedStates(modelOf(t, list), tensor.F16)
	write := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	training, converted := write("s.pth", weightstest.Torch{}.File(states)), write("s.st", weightstest.Safetensors(states, nil))
	load := func(path, layout string, wantWord bool) []float32 {
		t.Helper()
		got, assumed := begin(t, modelOf(t, list), path, layout)
		if (assumed != "") != wantWord || wantWord && !strings.HasPrefix(assumed, "in the form of web-rwkv (assumed: ") {
			t.Errorf("%s as %q: assumed %q", filepath.Base(path), layout, assumed)
		}
		return got
	}
	lies, turned := load(training, "", false), load(converted, "", true)
	if slices.Equal(lies, turned) {
		t.Fatal("the matrices are their own transposes")
	}
	for path := range map[string]bool{training: true, converted: true} {
		if !slices.Equal(load(path, OriginalState, false), lies) || !slices.Equal(load(path, WebRWKVState, false), turned) {
			t.Errorf("%s: the layout is not the one asked for", filepath.Base(path))
		}
	}
}

// A state that is too short is none to begin with.
func TestBeginWith(t *testing.T) {
	m := modelOf(t, bare("v7"))
	if err := m.BeginWith(make([]float32, m.Program.StateLen()-1)); err == nil {
		t.Error("a state that is too short was taken")
	}
}
