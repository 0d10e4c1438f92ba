package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// sameLogits wants two models to give the same logits bit for bit on the CPU.
func sameLogits(t *testing.T, what string, a, b []string) {
	t.Helper()
	var answers [2]logitsAnswer
	for i, args := range [][]string{a, b} {
		cliJSON(t, &answers[i], append([]string{"logits", "--tokens", "3,1,4,1,5,9,2,6", "--all", "--device", "cpu"}, args...)...)
	}
	if len(answers[0].Logits) != 8 || !slices.EqualFunc(answers[0].Logits, answers[1].Logits, slices.Equal) {
		t.Errorf("%s: other logits", what)
	}
}

// The embedded model goes out and back through both formats, with its vocabulary, and gives the same logits.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	gguf, st, again := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b.safetensors"), filepath.Join(dir, "c.GGUF")
	var w written
	cliJSON(t, &w, "convert", gguf)
	if info, err := os.Stat(gguf); err != nil || w.Path != gguf || w.Format != "GGUF" || w.Bytes != info.Size() || w.BytesBefore != len(demo.Weights()) ||
		w.Tensors != 174 || w.Types["F16"] != 74 || w.Types["F32"] != 100 || w.Notices == nil {
		t.Errorf("%+v (%v)", w, err)
	}
	sameLogits(t, "GGUF", nil, []string{"--model", gguf})
	wantTokens(t, "1660,2383,275,2366", "Once upon a time", "--model", gguf)

	r := cli("convert", st, "--type", "f16", "--model", gguf)
	if r.status != statusDone || r.stderr != "" || r.stdout != st+": safetensors, 201 tensors: 201 F16; 13.98 MiB, 14.32 MiB before\n" {
		t.Error(r)
	}
	sameLogits(t, "safetensors", nil, []string{"--model", st})
	cliJSON(t, &w, "convert", again, "--model", st, "--vocab", writeFile(t, "v.txt", demo.Vocab()))
	first, second := openFile(t, gguf), openFile(t, again)
	if !slices.Equal(first.Names(), second.Names()) || !slices.EqualFunc(first.Vocab, second.Vocab, bytes.Equal) {
		t.Error("GGUF of safetensors of GGUF has other tensors or tokens")
	}
	for _, n := range first.Names() {
		if a, b := loadFrom(t, first, n), loadFrom(t, second, n); !bytes.Equal(a, b) {
			t.Errorf("%s has changed", n)
		}
	}
	if a, b := first.Meta["general.name"], second.Meta["general.name"]; a != "rwkv-gpu storyteller" || b != "b" {
		t.Errorf("the names are %s and %s", a, b)
	}
	for key, value := range first.Meta {
		if second.Meta[key] != value && key != "general.name" {
			t.Errorf("%s: was %s, is %s", key, value, second.Meta[key])
		}
	}
}

func openFile(t *testing.T, path string) *weights.File {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func loadFrom(t *testing.T, f *weights.File, name string) []byte {
	t.Helper()
	data, err := f.Tensors[name].Load()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Every version gives the same logits from the file that convert writes.
func TestConvertVersions(t *testing.T) {
	dir := t.TempDir()
	for _, version := range []string{"v4", "v5.0", "v5.1", "v5.2", "v6", "v7", "v7a", "v8-rc00"} {
		in := writeFile(t, "in.st", weightstest.Safetensors(weightstest.RWKV(version, weightstest.Tiny, tensor.BF16, 1), nil))
		out := filepath.Join(dir, version+".safetensors")
		var w written
		cliJSON(t, &w, "convert", out, "--model", in)
		sameLogits(t, version, []string{"--model", in}, []string{"--model", out})
	}
}

// A model of bytes brings its tokenizer along in a GGUF file.
func TestConvertBytes(t *testing.T) {
	out := filepath.Join(t.TempDir(), "bytes.gguf")
	var w written
	cliJSON(t, &w, "convert", out, "--model", modelOf(t, 256))
	wantTokens(t, "97,195,169,0", "aé\x00", "--model", out)
}

// Reference models give the same logits after conversion; one that held exponentials those of the original model.
func TestConvertShared(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"v4-C96-L3/v4-C96-L3.fp16.bin", "v5.2-C128-L2/v5.2-C128-L2.fp16.bin", "v6-C128-L3/v6-C128-L3.f16.gguf", "v7-C192-L2/hf_bf16"} {
		in, out := reference.Shared(t, "vectors", "models", filepath.FromSlash(name)), filepath.Join(dir, "out.safetensors")
		var w written
		cliJSON(t, &w, "convert", out, "--force", "--model", in)
		if stem, ok := strings.CutSuffix(in, ".fp16.bin"); ok { // has exponentials of the original numbers, right but for an ulp
			in = stem + map[byte]string{'4': ".pth_bf16.pth", '5': ".pth_fp16.pth"}[name[1]]
		}
		sameLogits(t, name, []string{"--model", in}, []string{"--model", out})
	}
}

// quantize writes what --type says, smaller, and a model that reads like the one before.
func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	sizes := map[string]int64{}
	for _, typ := range []string{"q8_0", "bf16"} {
		out := filepath.Join(dir, typ+".gguf")
		var w written
		cliJSON(t, &w, "quantize", out, "--type", typ)
		sizes[typ] = w.Bytes
		if w.Format != "GGUF" || w.Types[strings.ToUpper(typ)] < 36 || w.BytesBefore != len(demo.Weights()) {
			t.Errorf("%s: %+v", typ, w)
		}
		r := cli("generate", "Once upon a time", "-n", "8", "--temperature", "0", "--device", "cpu", "--quiet", "--model", out)
		if r.status != statusDone || !strings.Contains(r.stdout, "there was a little") {
			t.Errorf("%s: %s", typ, r)
		}
	}
	sameLogits(t, "q8_0", []string{"--quant", "q8_0"}, []string{"--model", filepath.Join(dir, "q8_0.gguf")})
	if sizes["q8_0"] >= sizes["bf16"] {
		t.Errorf("sizes %v", sizes)
	}
	small := weightstest.Size{Vocab: 300, Embed: 64, Layers: 1, Head: 16, FFN: 96, W: 4, A: 4, V: 4, G: 4}
	var w written
	cliJSON(t, &w, "quantize", filepath.Join(dir, "small.gguf"), "--type", "Q4_K", "--vocab", writeFile(t, "v.txt", worldOf(300)),
		"--model", writeFile(t, "small.st", weightstest.Safetensors(weightstest.RWKV7(small, tensor.F16, 1), nil)))
	if w.Types["Q5_0"] != 6 || w.Types["Q8_0"] != 1 { // rows of 64 and 96 are no blocks of 256
		t.Errorf("%+v", w)
	}
	r := cli("quantize", filepath.Join(dir, "text.gguf"), "--type", "q8_0")
	if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, "37 Q8_0") || !strings.Contains(r.stdout, "13.98 MiB before") {
		t.Error(r)
	}
}

// Wrong use is found before anything is read or written.
func TestConvertUsage(t *testing.T) {
	dir := t.TempDir()
	there, vocab := filepath.Join(dir, "there.gguf"), "--vocab=/nonexistent"
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		args []string
	}{
		{"OUT: want the name of one file to write, ending in .safetensors or .gguf, got none", []string{"convert"}},
		{"got 2 arguments", []string{"convert", "a.gguf", "b.gguf"}},
		{"OUT: want the name of one file to write, ending in .gguf, got none", []string{"quantize", "--type", "q8_0"}},
		{"a.pth: want a name that ends in .safetensors or .gguf", []string{"convert", "a.pth"}},
		{"a.safetensors: want a name that ends in .gguf", []string{"quantize", "a.safetensors", "--type", "q8_0"}},
		{`--type: want one of f32, f16, bf16, got "q8_0"`, []string{"convert", "a.gguf", "--type", "q8_0"}},
		{`--type: want one of q4_0, q4_1, q5_0,`, []string{"quantize", "a.gguf"}},
		{`--quant: want none, got "q8_0" (quantize OUT --type q8_0 writes a quantized file)`, []string{"convert", "a.gguf", "--quant", "q8_0"}},
		{`got "q2_k"`, []string{"quantize", "a.gguf", "--type", "q2_k"}},
		{"there.gguf: the file exists (--force replaces it)", []string{"convert", there, vocab}},
		{"the file exists", []string{"quantize", there, "--type", "q4_0", vocab}},
		{"want a file, got a directory", []string{"convert", filepath.Dir(gguffed(t)), "--force"}},
	} {
		wantError(t, cli(c.args...), statusUsage, c.want)
	}
	if data, err := os.ReadFile(there); err != nil || string(data) != "mine" {
		t.Errorf("%q (%v)", data, err)
	}
}

// gguffed returns a file in a folder whose name ends in .gguf.
func gguffed(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder.gguf")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "x")
}

// What goes wrong later leaves no file.
func TestConvertFails(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "out.gguf")
	large := func(byName map[string]*tensor.Tensor) {
		x := byName["head.weight"]
		data := make([]float32, x.Len())
		data[40] = 1e6
		byName["head.weight"] = tensor.FromFloats(x.Name, x.Shape, data)
	}
	v4 := writeFile(t, "v4.st", weightstest.Safetensors(weightstest.RWKV("v4", weightstest.Tiny, tensor.F16, 1), nil))
	narrow := modelOf(t, 300)
	world := writeFile(t, "v.txt", worldOf(300))
	for _, c := range []struct {
		status int
		want   []string
		args   []string
	}{
		{statusInput, []string{"no.st"}, []string{"convert", out, "--model", "no.st"}},
		{statusInput, []string{"v4.st: version: want v6 or v7, which are all that GGUF has names for, got v4"}, []string{"convert", out, "--model", v4}},
		{statusInput, []string{"tiny.safetensors: no vocabulary for the model's", "or --vocab FILE"}, []string{"convert", out, "--model", tinyModel(t, nil)}},
		{statusInput, []string{"want a World vocabulary, which is what GGUF holds"}, []string{"convert", out, "--model", narrow, "--vocab", writeFile(t, "b.json", bpeOf(300))}},
		{statusInput, []string{"tiny.safetensors: tensor head.weight: value: want numbers that F16 can hold, got 1e+06 at [1 8]"},
			[]string{"convert", filepath.Join(dir, "out.safetensors"), "--type", "f16", "--model", tinyModel(t, large)}},
		{statusInput, []string{"model.st", "whole blocks of Q4_K"}, []string{"quantize", out, "--type", "q4_k", "--model", narrow, "--vocab", world}},
		{statusFailed, []string{"no/folder/x.gguf: open: no such file or directory"}, []string{"convert", filepath.Join(dir, "no", "folder", "x.gguf")}},
	} {
		wantError(t, cli(c.args...), c.status, c.want...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantError(t, cliWith(ctx, "", nil, "convert", out), statusInterrupted, "convert: interrupted")
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("files are left: %v (%v)", list, err)
	}
}
