package state_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// firstSize is that of the models whose states lie in testdata, written by the code that wrote version 1 only.
var firstSize = weightstest.Size{Vocab: 9, Embed: 8, Layers: 2, Head: 4, FFN: 8, W: 2, A: 2, V: 2, G: 2}

// Files of version 1 load, those of a model with a LoRA too: number j of field i is (100 i + j) / 64.
func TestFirstVersion(t *testing.T) {
	plain := func(version string) []*tensor.Tensor { return weightstest.RWKV(version, firstSize, tensor.F16, 1) }
	pair := lora.File{Path: weightstest.Write(t, "l.st", weightstest.LoRA(plain("v7"), 2, tensor.F16, 1)), Scale: 0.5}
	models := map[string]*model.Model{"v4": modelOf(t, plain("v4")), "v6": modelOf(t, plain("v6")), "v7": modelOf(t, plain("v7")), "v7_lora": modelOf(t, plain("v7"), pair)}
	for name, m := range models {
		got, err := state.Read(m, filepath.Join("testdata", "version1_"+name+".st"))
		if err != nil {
			t.Error(err)
			continue
		}
		want := make([]float32, m.Program.StateLen())
		for i := range m.Fields {
			for j := range m.Fields[i].Len() {
				want[m.Fields[i].Off+j] = float32(i*100+j) / 64
			}
		}
		if !same(got, &state.State{Data: want, Pending: state.None}) {
			t.Errorf("%s: another state: %+v", name, got)
		}
	}
	for name, want := range map[string]string{
		"v7":      "lora: want \"0c103619921570490c4081a31c57e92f153469c3cdaff9441e1d2b9e77a34d75\", got none (the state of this model without a LoRA)",
		"v7_lora": "lora: want none: the state of this model, which has no LoRA, got \"0c10",
	} {
		m := models[map[string]string{"v7": "v7_lora", "v7_lora": "v7"}[name]]
		if _, err := state.Read(m, filepath.Join("testdata", "version1_"+name+".st")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", name, want, err)
		}
	}
}

// A state fits the model of the same weights and LoRAs, and no other: one line says what differs.
func TestOtherModels(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	other := slices.Clone(base)
	at := weightstest.Index(t, other, "blocks.1.ffn.value.weight")
	data, err := other[at].Load()
	if err != nil {
		t.Fatal(err)
	}
	data = slices.Clone(data)
	data[len(data)-2] ^= 1 // the last bit of a number
	other[at] = tensor.FromBytes(other[at].Name, other[at].Type, other[at].Shape, data)
	tuned := func(seed uint64, scale float32) lora.File {
		return lora.File{Path: weightstest.Write(t, "l.pth", weightstest.LoRA(base, 2, tensor.F16, seed)), Scale: scale}
	}
	models := []*model.Model{modelOf(t, base), modelOf(t, other), modelOf(t, base, tuned(1, 1)), modelOf(t, base, tuned(1, 2)), modelOf(t, base, tuned(2, 1))}
	const another, without, with, others = "s: model_id: want \"", "(the state of this model without a LoRA)", "lora: want none: the state of this model, which has no LoRA, got \"", "(the state of this model with other LoRAs)"
	wants := [][]string{
		{"", another, without, without, without},
		{another, "", another, another, another},
		{with, another, "", others, others},
		{with, another, others, "", others},
		{with, another, others, others, ""},
	}
	for i, from := range models {
		data, err := state.Encode(from, &state.State{Data: make([]float32, from.Program.StateLen()), Pending: state.None})
		if err != nil {
			t.Fatal(err)
		}
		for j, to := range models {
			_, err := state.Decode(to, "s", data)
			if want := wants[i][j]; want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("state of model %d in model %d: want %q, got %v", i, j, want, err)
			}
		}
	}
	again := modelOf(t, base, tuned(1, 2)) // the same file under another path
	a, errA := models[3].ID()
	if b, err := again.ID(); err != nil || errA != nil || a != b {
		t.Errorf("want the identity %s, got %s (%v, %v)", a, b, errA, err)
	}
}

// A state of a model of the same weights with another epsilon is refused for the epsilon. An early file
// says nothing of epsilons; for its identity it is refused too.
func TestOtherEpsilons(t *testing.T) {
	list := weightstest.RWKV("v5.2", weightstest.Tiny, tensor.F16, 1)
	parsed := func(o model.Options, norm float32) *model.Model {
		f, err := weights.Parse("m", weightstest.Safetensors(list, nil))
		if err != nil {
			t.Fatal(err)
		}
		f.Epsilons.Norm = norm
		m, err := model.NewWith(f, o)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	own := parsed(model.Options{}, 0)
	for want, from := range map[string]*model.Model{
		"s: group_norm_eps: want \"0.00064\", which m has, got \"1e-05\": the state of a model with another epsilon of the group norm": parsed(model.Options{GroupNormEps: 1e-5}, 0),
		"s: norm_eps: want \"1e-05\", which m has, got \"0.001\": the state of a model with another epsilon of the norms":              parsed(model.Options{}, 1e-3),
	} {
		data, err := state.Encode(from, &state.State{Data: make([]float32, from.Program.StateLen()), Pending: state.None})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.Decode(own, "s", data); err == nil || err.Error() != want || errors.Is(err, state.ErrGroupNormEps) != strings.Contains(want, "group_norm") {
			t.Errorf("want %q, got %v", want, err)
		}
		early := resigned(t, resigned(t, data, "norm_eps", ""), "group_norm_eps", "")
		if _, err := state.Decode(own, "s", early); err == nil || !strings.HasPrefix(err.Error(), "s: model_id: want ") || !strings.HasSuffix(err.Error(), "(the state of a model of other weights or epsilons)") {
			t.Errorf("an early file: %v", err)
		}
		for _, data := range [][]byte{data, early} {
			if _, err := state.Decode(from, "s", data); err != nil {
				t.Error(err)
			}
		}
	}
}

// A state that Write wrote is what sequences begin with, to the bit, for every version; what else it holds is returned.
func TestBegin(t *testing.T) {
	for _, version := range weightstest.Versions {
		list := weightstest.RWKV(version, oddSize, tensor.F16, 3)
		m := modelOf(t, list)
		want := someState(m)
		path := filepath.Join(t.TempDir(), "s.st")
		if err := state.Write(m, path, want, false); err != nil {
			t.Fatal(err)
		}
		again := modelOf(t, list)
		saved, assumed, err := state.Begin(again, path, "")
		if err != nil || assumed != "" {
			t.Fatal(version, err, assumed)
		}
		initial, err := again.Program.InitialState()
		if err != nil {
			t.Fatal(err)
		}
		if !sameBits(initial, want.Data) || !same(saved, want) {
			t.Errorf("%s: another state", version)
		}
		const layout = ": layout: want a file of state tuning, to be read as original, got a state that says its own layout"
		if _, _, err := state.Begin(again, path, model.OriginalState); err == nil || err.Error() != path+layout {
			t.Errorf("want %q, got %v", path+layout, err)
		}
	}
}

// A file of state tuning begins sequences as the model's own BeginTuned has it.
func TestBeginTuned(t *testing.T) {
	list := weightstest.Stateless(weightstest.RWKV("v7", weightstest.Tiny, tensor.F16, 3))
	var states []*tensor.Tensor
	for _, x := range []string{"blocks.0.att.time_state", "blocks.1.att.time_state"} {
		states = append(states, weightstest.Ones(x, 2, 16, 16))
	}
	m := modelOf(t, list)
	saved, assumed, err := state.Begin(m, weightstest.Write(t, "s.pth", states), "")
	if err != nil || saved != nil || assumed != "" {
		t.Fatal(saved, assumed, err)
	}
	initial, err := m.Program.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range initial {
		sum += math.Abs(float64(v))
	}
	if sum != 2*2*16*16 {
		t.Errorf("the state sums up to %v", sum)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, _, err := state.Begin(m, missing, ""); !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), missing) != 1 || !strings.HasPrefix(err.Error(), missing+": ") {
		t.Error(err) // in the system's words
	}
	if len(m.Program.Of(op.State)) == 0 {
		t.Error("the model has no state")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a state was written")
	}
}
