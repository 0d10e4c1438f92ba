package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// badModels are model files that cannot be used, with what the error must name.
func badModels(t *testing.T) map[string][]string {
	good := weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1), nil)
	st := func(header string, body int) []byte { return weightstest.File(header, make([]byte, body)) }
	file := func(name string, data []byte) string { return writeFile(t, name, data) }
	nan := func(m map[string]*tensor.Tensor) {
		values := make([]float32, 32*32)
		values[5] = float32(math.NaN())
		m["blocks.1.att.key.weight"] = tensor.FromFloats("blocks.1.att.key.weight", []int{32, 32}, values)
	}
	return map[string][]string{
		filepath.Join(t.TempDir(), "absent.st"):                                                {"absent.st", "no such file"},
		t.TempDir():                                                                            {"want a directory of one model", "model.safetensors"},
		file("empty.st", nil):                                                                  {"size", "an empty file"},
		file("text.st", []byte("{\"a\": 1}")):                                                  {"JSON text"},
		file("page.st", []byte("<!DOCTYPE html>..")):                                           {"web page"},
		file("model.pth", []byte("PK\x03\x04\x00\x00\x00\x00\x00\x00")):                        {"zip directory", "truncated"},
		file("model.gguf", []byte("GGUF\x03\x00\x00\x00")):                                     {"tensor count", "truncated"},
		file("cut.st", good[:len(good)/2]):                                                     {"truncated"},
		file("short.st", good[:100]):                                                           {"header length", "truncated"},
		file("huge.st", []byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}")):                          {"header length"},
		file("long.st", append(append([]byte{}, good...), 0)):                                  {"size", "bytes of data"},
		file("outside.st", st(`{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,160]}}`, 16)): {"tensor x", "data_offsets"},
		file("overflow.st", st(`{"x":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}`, 16)): {"tensor x", "shape"},
		file("lying.st", st(`{"x":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}`, 16)):                        {"tensor x", "shape"},
		file("type.st", st(`{"x":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}`, 16)):                         {"tensor x", "dtype"},
		file("escape.st", st(`{"\u001b[31m\nx":{"dtype":"F99","shape":[2],"data_offsets":[0,16]}}`, 16)):           {`\x1b[31m\nx`, "dtype"},
		file("other.st", st(`{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 16)):                        {"version", "want an RWKV model"},
		file("v6.st", st(`{"blocks.0.att.time_maa_x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 16)):     {"emb.weight", "missing"},
		file("v8.st", st(`{"enn.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 16)):                  {"version", "want an RWKV model", "enn.weight"},
		tinyModel(t, func(m map[string]*tensor.Tensor) { delete(m, "blocks.1.att.k_k") }):                          {"blocks.1.att.k_k", "missing"},
		tinyModel(t, func(m map[string]*tensor.Tensor) { reshape(m, "head.weight", 32, 67) }):                      {"head.weight", "shape"},
		tinyModel(t, func(m map[string]*tensor.Tensor) { reshape(m, "blocks.0.ffn.key.weight", 48, 64) }):          {"blocks.0.ffn.key.weight", "shape"},
		tinyModel(t, nan): {"blocks.1.att.key.weight", "finite", "tiny.safetensors"},
	}
}

func reshape(m map[string]*tensor.Tensor, name string, shape ...int) {
	f, err := m[name].Floats()
	if err != nil {
		panic(err)
	}
	m[name] = tensor.FromFloats(name, shape, f)
}

func TestBadModels(t *testing.T) {
	for path, want := range badModels(t) {
		wantError(t, cli("logits", "--quiet", "--device", "cpu", "--tokens", "1", "--model", path), statusInput, want...)
	}
}

// A fault in the weights is the file's on a Vulkan device too.
func TestBadWeightsOnGPU(t *testing.T) {
	device := vulkanDevice(t)
	for path, want := range badModels(t) {
		if want[len(want)-1] == "tiny.safetensors" {
			wantError(t, cli("logits", "--quiet", "--device", device, "--tokens", "1", "--model", path), statusInput, want...)
			wantError(t, cli("compare", "--quiet", "--device", device, "--tokens", "1", "--model", path), statusInput, want...)
		}
	}
}

// Weights that are finite but drive the model out of range are found, not printed.
func TestOutOfRange(t *testing.T) {
	path := tinyModel(t, func(m map[string]*tensor.Tensor) {
		huge := make([]float32, 67*32)
		for i := range huge {
			huge[i] = 3e38
		}
		m["head.weight"] = tensor.FromFloats("head.weight", []int{67, 32}, huge)
	})
	wantError(t, cli("logits", "--quiet", "--device", "cpu", "--tokens", "1", "--model", path, "--json"), statusInput,
		"tiny.safetensors: after token 0: logit 0: want a finite number")
}

func TestVocabularies(t *testing.T) {
	model := writeFile(t, "demo.safetensors", demo.Weights())
	dir := filepath.Dir(model)
	args := []string{"generate", "Once", "--device", "cpu", "--quiet", "-n", "1", "--model", model}
	wantError(t, cli(args...), statusInput, "demo.safetensors: no vocabulary", "rwkv_vocab_v20230424.txt or vocab.txt", dir,
		filepath.Join(os.Getenv("XDG_DATA_HOME"), "rwkv-gpu"), "--vocab")

	vocab := writeFile(t, "my.txt", demo.Vocab())
	for _, found := range []string{filepath.Join(dir, "vocab.txt"), filepath.Join(dir, "rwkv_vocab_v20230424.txt"),
		filepath.Join(os.Getenv("XDG_DATA_HOME"), "rwkv-gpu", "vocab.txt")} {
		if err := os.MkdirAll(filepath.Dir(found), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(found, demo.Vocab(), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := cli(args...); r.status != statusDone || r.stdout == "" {
			t.Errorf("%s: %s", found, r)
		}
		if err := os.Remove(found); err != nil {
			t.Fatal(err)
		}
	}
	if r := cli(append(args, "--vocab", vocab)...); r.status != statusDone {
		t.Error(r)
	}
	tiny := tinyModel(t, nil)
	wantError(t, cli("generate", "x", "--model", tiny, "--vocab", vocab), statusInput,
		"my.txt: want a vocabulary for the 67 ids of "+tiny+", got one of 4096 ids")
	wantError(t, cli("tokenize", "x", "--model", tiny, "--vocab", vocab), statusInput, "67 ids")
	small := strings.Join(strings.SplitAfter(string(demo.Vocab()), "\n")[:3000], "")
	wantError(t, cli(append(args, "--vocab", writeFile(t, "small.txt", []byte(small)))...), statusInput, "4096 ids", "got one of 3001 ids")
	wantError(t, cli(append(args, "--vocab", writeFile(t, "bad.txt", []byte("1 'a' 1\n2 'a\n")))...), statusInput, "bad.txt: line 2: token")
	wantError(t, cli(append(args, "--vocab", filepath.Join(dir, "absent.txt"))...), statusInput, "absent.txt: open: no such file")
}

func TestBadStates(t *testing.T) {
	tiny, dir := tinyModel(t, nil), t.TempDir()
	state := filepath.Join(dir, "s")
	base := []string{"logits", "--quiet", "--device", "cpu", "--tokens", "1,2", "--model", tiny}
	if r := cli(append(base, "--state-out", state)...); r.status != statusDone {
		t.Fatal(r)
	}
	data, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, data...)
	damaged[len(damaged)-3] ^= 1
	for path, want := range map[string]string{
		filepath.Join(dir, "absent"):            "absent: open: no such file",
		dir:                                     "got a directory",
		tiny:                                    "format: want \"rwkv-gpu state\", got none",
		writeFile(t, "cut", data[:len(data)-1]): "truncated",
		writeFile(t, "damaged", damaged):        "damaged: data: want the SHA-256",
		writeFile(t, "long", make([]byte, 2100<<10)): "want at most",
	} {
		wantError(t, cli(append(base, "--state-in", path)...), statusInput, want)
	}
	wantError(t, cli("logits", "--quiet", "--device", "cpu", "--tokens", "1", "--state-in", state), statusInput,
		"config_hash", "6 layers")
}
