package weights_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// baseTypes are those that PyTorch files hold.
var baseTypes = []tensor.Type{tensor.F32, tensor.F16, tensor.BF16}

// torchVariants are ways to write the same tensors.
var torchVariants = []weightstest.Torch{
	{},
	{Protocol: 3},
	{Protocol: 4},
	{Protocol: 5, Ordered: true, Parameters: true},
	{Legacy: true},
	{Legacy: true, Protocol: 5, Ordered: true, Strided: true, Shared: true},
	{Strided: true, Shared: true, Parameters: true},
	{Wrap: []string{"model"}, Prefix: "_orig_mod."},
	{Wrap: []string{"checkpoint", "state_dict"}, Ordered: true},
	{Wrap: []string{"anything"}, Legacy: true},
	{Extra: weightstest.Dict{{"step", 7}, {"done", true}, {"rate", 1e-3}, {"none", nil}, {"args", []any{"a", weightstest.Tuple{1, -2}}}, {"big", weightstest.Long("0123456789")}}},
}

// However torch.save wrote a model, it reads as the tensors that went in, for every type.
func TestTorch(t *testing.T) {
	for _, typ := range baseTypes {
		original := weightstest.RWKV7(weightstest.Tiny, typ, 2)
		want := parse(t, weightstest.Safetensors(original, nil))
		for _, v := range torchVariants {
			f := parse(t, v.File(original))
			sameTensors(t, want, f)
			if format := map[bool]string{false: "PyTorch .pth (zip)", true: "PyTorch .pth (pickle)"}[v.Legacy]; f.Format != format || f.Layout != "original" {
				t.Errorf("%+v: %s, %s", v, f.Format, f.Layout)
			}
		}
	}
}

// Contiguous tensors are the file's own bytes, never a copy; others are gathered when asked for.
func TestTorchInPlace(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 2)
	for _, v := range []weightstest.Torch{{}, {Legacy: true}, {Shared: true}} {
		f := parse(t, v.File(original))
		for _, x := range f.Tensors {
			if n := testing.AllocsPerRun(1, func() { _, _ = x.Load() }); n > 0 {
				t.Errorf("%+v: %s takes %v allocations to load", v, x, n)
			}
		}
	}
	data := weightstest.Torch{Strided: true}.File(weightstest.RWKV7(weightstest.Size{Vocab: 1024, Embed: 1024, Layers: 1, Head: 64, FFN: 8, W: 1, A: 1, V: 1, G: 1}, tensor.F16, 1))
	if _, used := allocated(func() { parse(t, data) }); used > 1<<18 {
		t.Errorf("reading a file of %d MiB took %d KiB", len(data)>>20, used>>10)
	}
}

// Go's own zip writer, another implementation, makes files that read the same, in both of its ways to store.
func TestTorchOfAnotherZipWriter(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.BF16, 4)
	want := parse(t, weightstest.Safetensors(original, nil))
	data := weightstest.Torch{}.File(original)
	source, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, e := range source.File {
			from, err := e.OpenRaw()
			if err != nil {
				t.Fatal(err)
			}
			to, err := w.CreateHeader(&zip.FileHeader{Name: e.Name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, e.UncompressedSize64)
			if _, err := io.ReadFull(from, body); err != nil {
				t.Fatal(err)
			}
			if _, err := to.Write(body); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := weights.Parse("model.pth", out.Bytes())
		switch {
		case method == zip.Deflate:
			wantError(t, err, "model.pth: zip entry model/byteorder: want a stored entry", "got compression method 8")
		case err != nil:
			t.Error(err)
		default:
			sameTensors(t, want, f)
		}
	}
}

// Python's own pickler, another implementation, writes pickles that read the same in every protocol: testdata/torch.py
// made these files.
func TestTorchOfPython(t *testing.T) {
	for protocol := 2; protocol <= 5; protocol++ {
		for _, kind := range []string{"zip", "legacy"} {
			f := open(t, filepath.Join("testdata", fmt.Sprintf("protocol%d.%s.pth", protocol, kind)))
			if want := []string{"half", "matrix", "vector"}; !slices.Equal(f.Names(), want) {
				t.Fatalf("%s: want %v, got %v", f.Path, want, f.Names())
			}
			for name, want := range map[string][]float32{"matrix": {0, 2, 4, 1, 3, 5}, "vector": {3, 4}, "half": {1.5, -0.25}} {
				if got := floats(t, f.Tensors[name]); !slices.Equal(got, want) {
					t.Errorf("%s: %s: want %v, got %v", f.Path, name, want, got)
				}
			}
			if got := f.Tensors["matrix"].Shape; !slices.Equal(got, []int{2, 3}) {
				t.Errorf("%s: matrix: shape %v", f.Path, got)
			}
		}
	}
}

// Any view that lies within its storage holds the elements that its offset and strides say.
func TestTorchStrides(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for range 300 {
		count := 1 + rng.IntN(120)
		raw := make([]float32, count)
		for i := range raw {
			raw[i] = float32(i)
		}
		offset, last, n := rng.IntN(count), 0, 1
		var shape, stride []int
		for range rng.IntN(5) {
			d := 1 + rng.IntN(4)
			s := rng.IntN(12)
			if n*d > count || offset+last+s*(d-1) >= count {
				continue
			}
			shape, stride = append(shape, d), append(stride, s)
			last, n = last+s*(d-1), n*d
		}
		want := []float32{}
		for i := range n {
			at := offset
			for j, rest := len(shape)-1, i; j >= 0; j-- {
				at += rest % shape[j] * stride[j]
				rest /= shape[j]
			}
			want = append(want, raw[at])
		}
		data := make([]byte, tensor.F16.Bytes(count))
		tensor.F16.Encode(data, raw)
		pickle := weightstest.Pickle(2, weightstest.Dict{{"x", weightstest.TorchTensor(weightstest.TorchStorage(tensor.F16, "0", count), offset, shape, stride)}})
		f := parse(t, weightstest.TorchZip(pickle, []weightstest.Storage{{Key: "0", Data: data, Count: count}}))
		if got := floats(t, f.Tensors["x"]); !slices.Equal(got, want) {
			t.Fatalf("%d of %d, shape %v, strides %v: want %v, got %v", offset, count, shape, stride, want, got)
		}
	}
}

// A file that is closed gives errors for views too.
func TestTorchClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pth")
	if err := os.WriteFile(path, weightstest.Torch{Strided: true}.File(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err = f.Tensors["head.weight"].Load()
	wantError(t, err, path, "head.weight", "closed")
}

// allocated runs f and returns what it allocated.
func allocated(f func()) (objects, bytes uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
}

// What training keeps beside the tensors, as Python's own pickler writes it, does not matter: NumPy's numbers, sizes,
// devices, settings, and tensors of types that are not read, which are kept by name.
func TestTorchCompany(t *testing.T) {
	want := open(t, filepath.Join("testdata", "protocol2.zip.pth"))
	for _, name := range []string{"company2.zip.pth", "company4.zip.pth", "company2.legacy.pth", "company4.legacy.pth"} {
		f := open(t, filepath.Join("testdata", name))
		sameTensors(t, want, f)
		types := map[string]string{"ids": "torch.LongStorage", "mask": "torch.BoolStorage", "loss": "torch.DoubleStorage",
			"spectrum": "torch.ComplexFloatStorage", "eighths": "torch.float8_e4m3fn"}
		if !maps.Equal(f.Unread, types) {
			t.Errorf("%s: want %v unread, got %v", name, types, f.Unread)
		}
		_, err := f.Tensor("eighths")
		wantError(t, err, name+": tensor eighths: dtype: want one of F32, F16, BF16, got torch.float8_e4m3fn")
		wantError(t, f.RefuseUnread(), name+": tensor eighths: dtype: want one of")
	}
}
