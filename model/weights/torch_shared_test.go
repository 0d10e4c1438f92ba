package weights_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// equalValues wants b to hold the tensors of a: names, shapes and, as float32, every number.
func equalValues(t *testing.T, a, b *weights.File) {
	t.Helper()
	if !slices.Equal(a.Names(), b.Names()) {
		t.Errorf("%s and %s: names differ:\n%v\n%v", a.Path, b.Path, a.Names(), b.Names())
		return
	}
	for _, n := range a.Names() {
		x, y := a.Tensors[n], b.Tensors[n]
		if len(x.Shape) == 2 && len(y.Shape) == 1 && x.Shape[0] == y.Shape[0] { // v5.1 in .st: heads repeated per channel
			want := []float32{}
			for _, v := range floats(t, y) {
				want = append(want, slices.Repeat([]float32{v}, x.Shape[1])...)
			}
			if !slices.Equal(floats(t, x), want) || !strings.Contains(a.Path, "v5.1") {
				t.Errorf("%s: %s and %s differ", b.Path, x, y)
			}
			continue
		}
		if !slices.Equal(x.Shape, y.Shape) || !slices.Equal(floats(t, x), floats(t, y)) {
			t.Errorf("%s: %s and %s differ", b.Path, x, y)
		}
	}
}

// Every .pth file holds the numbers that the same model holds as .safetensors or .st.
func TestSharedTorch(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	files, _ := filepath.Glob(filepath.Join(models, "*", "*.pth"))
	if len(files) != 10 {
		t.Fatalf("want 10 .pth files, got %v", files)
	}
	for _, path := range files {
		f := open(t, path)
		stem, kind, _ := strings.Cut(path, ".pth_")
		if want := map[bool]string{false: "PyTorch .pth (zip)", true: "PyTorch .pth (pickle)"}[strings.Contains(kind, "legacy")]; f.Format != want || f.Layout != "original" {
			t.Errorf("%s: %s, %s (%s)", path, f.Format, f.Layout, f.Evidence)
		}
		compared := 0
		for _, other := range []string{".safetensors", ".st"} {
			if twins, _ := filepath.Glob(stem + other); len(twins) == 1 {
				equalValues(t, open(t, twins[0]), f)
				compared++
			}
		}
		if compared == 0 && !strings.Contains(path, "v7a-") {
			t.Errorf("%s: nothing to compare with", path)
		}
	}
}
