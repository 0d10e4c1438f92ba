package model

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

var update = flag.Bool("update", false, "write testdata anew")

// parse makes a file of tensors in memory.
func parse(t *testing.T, tensors []*tensor.Tensor) *weights.File {
	t.Helper()
	f, err := weights.Parse("made.safetensors", weightstest.Safetensors(tensors, nil))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// modelOf opens a model of tensors.
func modelOf(t *testing.T, tensors []*tensor.Tensor) *Model {
	t.Helper()
	m, err := New(parse(t, tensors))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The program of a model of two layers of each version, step by step (go test -update writes it anew), and what it says
// of its size.
func TestProgram(t *testing.T) {
	for version := range allVersions {
		t.Run(version, func(t *testing.T) { checkProgram(t, version) })
	}
}

func checkProgram(t *testing.T, version string) {
	m, err := New(parse(t, weightstest.RWKV(version, weightstest.Tiny, tensor.F16, 1)))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Config.String() + "\n" + m.Program.String()
	path := filepath.Join("testdata", version+"_two_layers.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the program differs from %s:\n%s", path, got)
	}
}

// The fields of a slot's state cover it without overlap, but for padding, and lie inside.
func TestFields(t *testing.T) {
	size := weightstest.Size{Vocab: 9, Embed: 12, Layers: 3, Head: 4, FFN: 5, W: 2, A: 3, V: 4, G: 5}
	m, err := New(parse(t, weightstest.RWKV7(size, tensor.F32, 1)))
	if err != nil {
		t.Fatal(err)
	}
	used := make([]string, m.Program.StateLen())
	count := map[string]int{}
	for _, f := range m.Fields {
		count[f.Name]++
		for i := f.Off; i < f.Off+f.Len(); i++ {
			if used[i] != "" {
				t.Fatalf("%s of layer %d overlaps %s", f.Name, f.Layer, used[i])
			}
			used[i] = f.Name
		}
	}
	free := 0
	for _, name := range used {
		if name == "" {
			free++
		}
	}
	// Two shifts a layer, each padded from 12 to 16.
	if want := size.Layers * 2 * 4; free != want {
		t.Errorf("%d elements of the state belong to no field, want %d of padding", free, want)
	}
	for _, name := range []string{"att_x", "ffn_x", "att_kv"} {
		if count[name] != size.Layers {
			t.Errorf("%d fields %s, want one a layer", count[name], name)
		}
	}
}

// Parameters counts what the program uses, and Hash tells models apart whose states do not fit each other.
func TestSizes(t *testing.T) {
	tensors := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	want := 0
	for _, x := range tensors {
		want += x.Len()
	}
	m, err := New(parse(t, tensors))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Parameters(); got != want {
		t.Errorf("%d parameters, want %d", got, want)
	}
	hashes := map[uint32]weightstest.Size{}
	for _, s := range []weightstest.Size{weightstest.Tiny,
		{Vocab: 67, Embed: 32, Layers: 3, Head: 16, FFN: 96, W: 8, A: 12, V: 4, G: 20},
		{Vocab: 67, Embed: 32, Layers: 2, Head: 8, FFN: 96, W: 8, A: 12, V: 4, G: 20},
		{Vocab: 67, Embed: 64, Layers: 2, Head: 16, FFN: 96, W: 8, A: 12, V: 4, G: 20}} {
		m, err := New(parse(t, weightstest.RWKV7(s, tensor.F16, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := hashes[m.Hash()]; ok {
			t.Errorf("%+v and %+v have one hash", s, other)
		}
		hashes[m.Hash()] = s
	}
	other := weightstest.Tiny
	other.FFN, other.Vocab, other.G = 40, 99, 3
	if m, err = New(parse(t, weightstest.RWKV7(other, tensor.F32, 5))); err != nil {
		t.Fatal(err)
	}
	if _, ok := hashes[m.Hash()]; !ok {
		t.Error("models whose states fit each other have different hashes")
	}
}
