package weights_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// applied returns x after the function that form names.
func applied(form weights.Function, x float32) float64 {
	w := float64(x)
	switch form {
	case weights.NegExp:
		return -math.Exp(w)
	case weights.ExpNegExp:
		return math.Exp(-math.Exp(w))
	case weights.Exp:
		return math.Exp(w)
	}
	return w
}

// equalForms wants f to hold the tensors of plain, less those named v0, v1 and v2 of layer 0, each number to the bit
// or, where File.Functions says so, its image to within three units in the last place.
func equalForms(t *testing.T, plain, f *weights.File) {
	t.Helper()
	names := slices.DeleteFunc(plain.Names(), func(n string) bool { return strings.HasPrefix(n, "blocks.0.att.v") && len(n) == len("blocks.0.att.v0") })
	if !slices.Equal(names, f.Names()) {
		t.Errorf("%s and %s: names differ:\n%v\n%v", plain.Path, f.Path, names, f.Names())
		return
	}
	for _, n := range names {
		x, y := plain.Tensors[n], f.Tensors[n]
		if !slices.Equal(x.Shape, y.Shape) {
			t.Errorf("%s: want %s, got %s", f.Path, x, y)
			continue
		}
		want, got := floats(t, x), floats(t, y)
		for i := range want {
			v := applied(f.Functions[n], want[i])
			bound := 0.0
			if f.Functions[n] != weights.Plain {
				bound = 3 * math.Abs(v) / (1 << 23)
			}
			if math.Abs(float64(got[i])-v) > bound {
				t.Errorf("%s: %s (%q) element %d: want %v, got %v", f.Path, y, f.Functions[n], i, v, got[i])
				break
			}
		}
	}
}

// Every plain .bin file holds the tensors of the same model's .pth, under the same names and in the same orientation,
// with the forms that FORMATS.md describes.
func TestSharedGGMF(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	files, _ := filepath.Glob(filepath.Join(models, "*", "*.bin"))
	if len(files) != 6 {
		t.Fatalf("want 6 .bin files, got %v", files)
	}
	forms := map[string]map[string]weights.Function{
		"v4":   {"time_decay": weights.NegExp},
		"v5.0": {"time_decay": weights.ExpNegExp, "time_first": weights.Exp},
		"v5.2": {"time_decay": weights.ExpNegExp},
	}
	for _, path := range files {
		f := open(t, path)
		stem, _, _ := strings.Cut(path, ".fp")
		pth, _ := filepath.Glob(stem + ".pth*")
		if len(pth) != 1 {
			t.Fatalf("want one .pth beside %s, got %v", path, pth)
		}
		if f.Format != "rwkv.cpp .bin" || f.Layout != "rwkv.cpp" {
			t.Errorf("%s: %s, %s", path, f.Format, f.Layout)
		}
		equalForms(t, open(t, pth[0]), f)
		version, _, _ := strings.Cut(filepath.Base(path), "-")
		for _, n := range f.Names() {
			if want := forms[version][n[strings.LastIndexByte(n, '.')+1:]]; f.Functions[n] != want {
				t.Errorf("%s: %s: want the function %q, got %q", path, n, want, f.Functions[n])
			}
		}
	}
}

// rwkv.cpp's own trained models open in every type it quantizes to: the names, shapes and forms of one model are the
// same whatever the type, and each quantized matrix lies as close to the exact one as its type lets it.
func TestSharedGGMFTypes(t *testing.T) {
	vectors := reference.Shared(t, "vectors")
	files, _ := filepath.Glob(filepath.Join(vectors, "rwkv.cpp-tiny", "tiny-*.bin"))
	more, _ := filepath.Glob(filepath.Join(vectors, "quantized", "*", "*.bin"))
	files = append(files, more...)
	if len(files) != 23 {
		t.Fatalf("want 13 and 10 .bin files, got %v", files)
	}
	exact := map[string]*weights.File{}
	counts := map[tensor.Type]int{}
	for _, path := range files { // sorted: FP32 before Q
		f := open(t, path)
		stem := path[:max(strings.LastIndexByte(strings.TrimSuffix(path, ".bin"), '-'), strings.LastIndexByte(strings.TrimSuffix(path, ".bin"), '.'))]
		first := exact[stem]
		if first == nil {
			exact[stem], first = f, f
		}
		if !slices.Equal(first.Names(), f.Names()) {
			t.Errorf("%s: names differ from %s", path, first.Path)
			continue
		}
		for _, n := range f.Names() {
			x := f.Tensors[n]
			counts[x.Type]++
			if !slices.Equal(x.Shape, first.Tensors[n].Shape) || f.Functions[n] != first.Functions[n] {
				t.Errorf("%s: %s as %q, but %s as %q in %s", path, x, f.Functions[n], first.Tensors[n], first.Functions[n], first.Path)
			}
			if err := f.CheckFinite(x); err != nil {
				t.Error(err)
			}
			if d := distance(floats(t, first.Tensors[n]), floats(t, x)); d > 0.2 {
				t.Errorf("%s: %s is %.2g away from %s", path, x, d, first.Path)
			}
		}
	}
	for _, typ := range []tensor.Type{tensor.F32, tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1, tensor.Q8_0} {
		if counts[typ] == 0 {
			t.Errorf("no %s tensor seen", typ)
		}
	}
}

// distance is the root mean square of a-b relative to that of a, but not to less than what an F16 scale can hold: some
// matrices of the tiny v4 model are all but zero.
func distance(a, b []float32) float64 {
	var off, size float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		off += d * d
		size += float64(a[i]) * float64(a[i])
	}
	const least = 1e-5
	return math.Sqrt(off / max(size, least*least*float64(len(a))))
}
