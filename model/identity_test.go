package model

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func identity(t *testing.T, m *Model) string {
	t.Helper()
	id, err := m.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Saved states name the identity: what computes it may not change, or they are refused.
func TestIdentityStays(t *testing.T) {
	for version, want := range map[string]string{"v4": "706117548ad5bfeaeff4b85dfe84e055", "v7": "3ec3dd799256ca077f40bf7a5eec7083"} {
		if got := identity(t, modelOf(t, weightstest.RWKV(version, weightstest.Tiny, tensor.F16, 1))); got != want {
			t.Errorf("%s: want %s, got %s", version, want, got)
		}
	}
}

// The identity is that of the weights in use, wherever they lie, however they will be loaded, and whatever lies beside
// them.
func TestIdentityOfWeights(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	want := identity(t, modelOf(t, list))
	pth, err := Open(weightstest.Write(t, "m.pth", list))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pth.Close() }()
	company := modelOf(t, append(slices.Clone(list), weightstest.Ones("value_head.weight", 1, 32)))
	quantized, err := NewWith(parse(t, list), Options{Quant: tensor.Q8_0})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*Model{"PyTorch": pth, "beside others": company, "to be quantized": quantized} {
		if got := identity(t, m); got != want {
			t.Errorf("%s: want %s, got %s", name, want, got)
		}
	}
}

// A change of any number, type, name, form or epsilon gives another identity.
func TestIdentityOfOthers(t *testing.T) {
	list := weightstest.RWKV("v5.2", weightstest.Tiny, tensor.F16, 1)
	seen := map[string]string{identity(t, modelOf(t, list)): "as it was"}
	differs := func(what string, m *Model) {
		t.Helper()
		id := identity(t, m)
		if old, ok := seen[id]; ok {
			t.Errorf("%s: the same identity as %s", what, old)
		}
		seen[id] = what
	}
	for i, x := range list {
		data, err := x.Load()
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(data) - 2} {
			other, bytes := slices.Clone(list), slices.Clone(data)
			bytes[at] ^= 1
			other[i] = tensor.FromBytes(x.Name, x.Type, x.Shape, bytes)
			differs(x.Name, modelOf(t, other))
		}
	}
	differs("BF16", modelOf(t, weightstest.RWKV("v5.2", weightstest.Tiny, tensor.BF16, 1)))
	other, err := NewWith(parse(t, list), Options{GroupNormEps: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	differs("another epsilon", other)
	swapped := slices.Clone(list)
	k, v := weightstest.Index(t, list, "blocks.0.att.key.weight"), weightstest.Index(t, list, "blocks.0.att.value.weight")
	swapped[k], swapped[v] = weightstest.Renamed(list[v], list[k].Name), weightstest.Renamed(list[k], list[v].Name)
	differs("key and value swapped", modelOf(t, swapped))
	for what, change := range map[string]func(f *weights.File){
		"divided": func(f *weights.File) { f.RescaleEvery = 1 },
		"formed": func(f *weights.File) {
			f.Functions = map[string]weights.Function{"blocks.0.att.time_decay": weights.ExpNegExp}
		},
	} {
		f := parse(t, list)
		f.Functions = maps.Clone(f.Functions)
		change(f)
		m, err := New(f)
		if err != nil {
			t.Fatal(err)
		}
		differs(what, m)
	}
}

// A file that changed while it was open has no identity, and says why.
func TestIdentityOfChanged(t *testing.T) {
	reference.CutFiles(t)
	path := filepath.Join(t.TempDir(), "m.st")
	if err := os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if id, err := m.ID(); !errors.Is(err, weights.ErrChanged) {
		t.Errorf("got %q, %v", id, err)
	}
}

// BenchmarkIdentity hashes the weights of a model of 64 MiB.
func BenchmarkIdentity(b *testing.B) {
	size := weightstest.Size{Vocab: 4096, Embed: 1024, Layers: 4, Head: 64, FFN: 2048, W: 32, A: 32, V: 32, G: 32}
	f, err := weights.Parse("m", weightstest.Safetensors(weightstest.RWKV7(size, tensor.F16, 1), nil))
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(f)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(f.Bytes()))
	for b.Loop() {
		if _, err := m.identify(); err != nil {
			b.Fatal(err)
		}
	}
}
