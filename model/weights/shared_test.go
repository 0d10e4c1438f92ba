package weights_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

func open(t *testing.T, path string) *weights.File {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func floats(t *testing.T, x *tensor.Tensor) []float32 {
	t.Helper()
	f, err := x.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every v7 model reads the same from .safetensors and .st: equal bytes where the types are equal, else equal values.
func TestSharedLayoutsAgree(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	files, _ := filepath.Glob(filepath.Join(models, "v7-*", "*.st"))
	if len(files) < 2 {
		t.Fatalf("want the v7 models C64-L2 and C192-L2 as .st, got %v", files)
	}
	for _, path := range files {
		st, orig := open(t, path), open(t, strings.TrimSuffix(path, ".st")+".safetensors")
		if st.Layout != "web-rwkv" || orig.Layout != "original" {
			t.Errorf("%s: layouts %s (%s) and %s (%s)", path, st.Layout, st.Evidence, orig.Layout, orig.Evidence)
		}
		if !slices.Equal(st.Names(), orig.Names()) {
			t.Fatalf("%s: names differ:\n%v\n%v", path, st.Names(), orig.Names())
		}
		for _, n := range orig.Names() {
			a, b := orig.Tensors[n], st.Tensors[n]
			if !slices.Equal(a.Shape, b.Shape) || !slices.Equal(floats(t, a), floats(t, b)) {
				t.Errorf("%s and %s differ", a, b)
			}
			if a.Type == b.Type && !bytes.Equal(load(t, orig, n), load(t, st, n)) {
				t.Errorf("%s: bytes differ", n)
			}
			if err := orig.CheckFinite(a); err != nil {
				t.Error(err)
			}
		}
	}
}

// The same models as rwkv.cpp's converter wrote them hold the same numbers, each matrix in its place.
func TestSharedAgreesWithRWKVCpp(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	for _, name := range []string{"v7-C96-L3/v7-C96-L3", "v7-C192-L2/v7-C192-L2"} {
		path := filepath.Join(models, filepath.FromSlash(name))
		bins, _ := filepath.Glob(path + ".fp*.bin")
		if len(bins) != 1 {
			t.Fatalf("%s: want one .bin, got %v", path, bins)
		}
		f, compared := open(t, path+".safetensors"), 0
		for n, want := range readBin(t, bins[0]) {
			x := f.Tensors[n]
			if x == nil {
				continue // the token-shift mixes, packed into one tensor there
			}
			got := floats(t, x)
			switch n[strings.LastIndexByte(n, '.')+1:] {
			case "w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2":
				got = transposed(got, x.Shape[0], x.Shape[1])
			}
			if compared++; !slices.Equal(got, want) {
				t.Errorf("%s: %s differs from %s", name, x, filepath.Base(bins[0]))
			}
		}
		if compared < 40 {
			t.Errorf("%s: only %d tensors compared", name, compared)
		}
	}
}

func transposed(x []float32, rows, cols int) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i%cols*rows+i/cols] = v
	}
	return out
}

// readBin reads an unquantised rwkv.cpp file as ../shared/vectors/FORMATS.md describes it.
func readBin(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := 24 // magic, version, vocabulary, width, layers, type
	next := func() int {
		at += 4
		return int(int32(binary.LittleEndian.Uint32(data[at-4:])))
	}
	tensors := map[string][]float32{}
	for at < len(data) {
		dims, key, typ, n := next(), next(), tensor.F32, 1
		if next() == 1 {
			typ = tensor.F16
		}
		for range dims {
			n *= next()
		}
		name := string(data[at : at+key])
		at += key
		tensors[name] = make([]float32, n)
		typ.Decode(tensors[name], data[at:])
		at += typ.Bytes(n)
	}
	return tensors
}

// The demo model opens as what its card says, and all of it is finite.
func TestSharedDemo(t *testing.T) {
	f := open(t, reference.Shared(t, "demo-model", "demo.safetensors"))
	if f.Layout != "original" || f.Meta["architecture"] != "rwkv7-x070" || f.Bytes() != 14659152 {
		t.Errorf("layout %s, meta %v, %d bytes", f.Layout, f.Meta, f.Bytes())
	}
	for name, shape := range map[string][]int{
		"emb.weight": {4096, 256}, "blocks.0.att.w1": {256, 32}, "blocks.0.att.g2": {64, 256},
		"blocks.0.att.r_k": {4, 64}, "blocks.0.att.x_r": {256}, "blocks.0.ffn.key.weight": {1024, 256},
	} {
		if x, err := f.Tensor(name); err != nil || !slices.Equal(x.Shape, shape) || x.Type != tensor.F16 {
			t.Errorf("%s: want F16%v, got %v (%v)", name, shape, x, err)
		}
	}
	for _, n := range f.Names() {
		if err := f.CheckFinite(f.Tensors[n]); err != nil {
			t.Error(err)
		}
	}
}

// The .st files of older versions get their original names and orientation.
func TestSharedOlderVersions(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	for model, want := range map[string]map[string][]int{
		"v4-C96-L3":    {"blocks.0.att.time_first": {96}, "blocks.2.ffn.time_mix_r": {96}},
		"v5.0-C96-L2":  {"blocks.0.att.time_first": {3}},
		"v5.1-C96-L2":  {"blocks.0.att.time_faaaa": {3, 32}, "blocks.1.att.time_mix_g": {96}},
		"v5.2-C128-L2": {"blocks.0.att.time_faaaa": {4, 32}},
		"v6-C128-L3":   {"blocks.0.att.time_maa_w1": {128, 120}, "blocks.0.att.time_maa_w2": {5, 24, 128}, "blocks.2.att.time_decay_w1": {128, 40}, "blocks.1.ffn.time_maa_k": {128}, "blocks.0.att.time_faaaa": {2, 64}},
		"v6-C64-state": {"blocks.0.att.time_state": {2, 32, 32}, "blocks.0.att.time_decay_w2": {16, 64}},
	} {
		f := open(t, filepath.Join(models, model, model+".st"))
		for name, shape := range want {
			if x, err := f.Tensor(name); err != nil || !slices.Equal(x.Shape, shape) {
				t.Errorf("%s (%s): want %s %v, got %v (%v)", model, f.Layout, name, shape, x, err)
			}
		}
	}
}

// Files of other formats are named, not misread.
func TestSharedOtherFormats(t *testing.T) {
	vectors := reference.Shared(t, "vectors")
	for path, fragment := range map[string]string{
		"models/v7-C64-L2/hf_bf16_sharded/config.json": "JSON text",
		"models/v7-C192-L2":                            "a directory of one model",
	} {
		full := filepath.Join(vectors, filepath.FromSlash(path))
		_, err := weights.Open(full)
		wantError(t, err, full+": ", fragment)
	}
	f := open(t, filepath.Join(vectors, "big_v7", "expected.safetensors"))
	integers := 0
	for name, typ := range f.Unread {
		_, err := f.Tensor(name)
		if wantError(t, err, f.Path+": tensor "+name+": dtype: want one of F32, F16, BF16, got "+typ); typ == "I32" {
			integers++
		}
	}
	if integers == 0 || len(f.Tensors) == 0 {
		t.Errorf("%s: want tensors of integers beside others, got %v and %d", f.Path, f.Unread, len(f.Tensors))
	}
}
