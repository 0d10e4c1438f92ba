package weights_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

const hfIndex, hfFirst, hfSecond = "model.safetensors.index.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"

// brokenDir is a sound directory of two shards after one change, the file that the error must begin with ("" for the
// directory), and what it must say.
type brokenDir struct {
	name     string
	change   func(files map[string][]byte)
	file     string
	fragment string
}

// put replaces a file; nil removes it.
func put(name string, data []byte) func(map[string][]byte) {
	return func(files map[string][]byte) {
		files[name] = data
		if data == nil {
			delete(files, name)
		}
	}
}

// mapped replaces the weight_map.
func mapped(weightMap string) func(map[string][]byte) {
	return put(hfIndex, []byte(`{"metadata":{},"weight_map":`+weightMap+`}`))
}

// reindexed replaces text in the index.
func reindexed(old, text string) func(map[string][]byte) {
	return func(files map[string][]byte) {
		files[hfIndex] = []byte(strings.Replace(string(files[hfIndex]), old, text, 1))
	}
}

// only keeps nothing but these files.
func only(pairs ...any) func(map[string][]byte) {
	return func(files map[string][]byte) {
		clear(files)
		for i := 0; i < len(pairs); i += 2 {
			files[pairs[i].(string)] = pairs[i+1].([]byte)
		}
	}
}

func one16(names ...string) []byte {
	var tensors []*tensor.Tensor
	for _, n := range names {
		tensors = append(tensors, zeros(n, 6))
	}
	return weightstest.Safetensors(tensors, nil)
}

// many is an object of n tensors in as many files as asked for.
func many(n, files int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"t%d":"f%d"`, i, i%files)
	}
	return "{" + b.String()[1:] + "}"
}

var brokenDirs = []brokenDir{
	{"empty", only(), "", "format: want a directory of one model (model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json), got no such file"},
	{"two models", only("a.st", one16("a"), "b.gguf", []byte("GGUF")), "", "got 2 model files: name one of them (a.st, b.gguf)"},
	{"only a configuration", only("config.json", []byte("{}")), "", "got no such file"},
	{"first file missing", put(hfFirst, nil), hfIndex, "weight_map: want the file model-00001-of-00002.safetensors beside the index, got none"},
	{"second file missing", put(hfSecond, nil), hfIndex, "want the file model-00002-of-00002.safetensors"},
	{"file empty", put(hfSecond, []byte{}), hfSecond, "got an empty file"},
	{"file cut", func(f map[string][]byte) { f[hfSecond] = f[hfSecond][:len(f[hfSecond])-1] }, hfSecond, "(truncated file?)"},
	{"file is a Git LFS pointer", put(hfFirst, []byte("version https://git-lfs.github.com/spec/v1\n")), hfFirst, "the model itself was not downloaded"},
	{"file is noise", put(hfFirst, []byte("\xde\xad\xbe\xef\xde\xad\xbe\xef\xde")), hfFirst, "unknown format"},
	{"files of two formats", put(hfSecond, weightstest.GGUF([]weightstest.KV{{Key: "general.architecture", Value: "rwkv7"}}, nil)), hfSecond, "format: want safetensors as the files before it, got GGUF"},
	{"tensor in two files", func(f map[string][]byte) { f[hfSecond] = f[hfFirst] }, hfSecond, "name: want the tensor in one file, got it in model-00001-of-00002.safetensors too"},
	{"tensor not where the index says", reindexed(`"lm_head.weight":"`+hfSecond, `"lm_head.weight":"`+hfFirst), hfIndex, "tensor lm_head.weight: weight_map: want it in " + hfFirst + ", got " + hfSecond},
	{"tensor nowhere", reindexed(`"lm_head.weight"`, `"lm_foot.weight"`), hfIndex, "tensor lm_foot.weight: weight_map: want it in " + hfSecond + ", got no such tensor"},
	{"tensor not in the index", reindexed(`"lm_head.weight":"`+hfSecond+`",`, ""), hfIndex, "tensor lm_head.weight: weight_map: want an entry for it, since " + hfSecond + " has it, got none"},
	{"index cut", func(f map[string][]byte) { f[hfIndex] = f[hfIndex][:100] }, hfIndex, "index: want a JSON object, got unexpected end of JSON input"},
	{"index empty", put(hfIndex, []byte{}), hfIndex, "index: want a JSON object"},
	{"index an array", put(hfIndex, []byte(`[{"weight_map":{}}]`)), hfIndex, "index: want a JSON object"},
	{"index without a map", put(hfIndex, []byte(`{"metadata":{}}`)), hfIndex, "weight_map: want an object of file names"},
	{"map null", mapped(`null`), hfIndex, "weight_map: want an object of file names"},
	{"map an array", mapped(`["a"]`), hfIndex, `weight_map: want an object of file names, got ["a"]`},
	{"map empty", mapped(`{}`), hfIndex, "weight_map: want at least one tensor, got none"},
	{"map of numbers", mapped(`{"a":1}`), hfIndex, "tensor a: weight_map: want a file name, got 1"},
	{"map of objects", mapped(`{"a":{"b":"c"}}`), hfIndex, "tensor a: weight_map: want a file name, got {"},
	{"map of null", mapped(`{"a":null}`), hfIndex, "tensor a: weight_map: want a file name"},
	{"name twice", mapped(`{"a":"` + hfFirst + `","\u0061":"` + hfFirst + `"}`), hfIndex, "tensor a: weight_map: want the name once, got it twice"},
	{"file above", mapped(`{"a":"../` + hfFirst + `"}`), hfIndex, `weight_map: want names of files beside the index, got "../`},
	{"file of the root", mapped(`{"a":"/etc/passwd"}`), hfIndex, `want names of files beside the index, got "/etc/passwd"`},
	{"file with a drive", mapped(`{"a":"c:x"}`), hfIndex, `want names of files beside the index`},
	{"file with a NUL", mapped(`{"a":"x\u0000"}`), hfIndex, `want names of files beside the index`},
	{"file of no name", mapped(`{"a":""}`), hfIndex, `want names of files beside the index, got ""`},
	{"the directory above", mapped(`{"a":".."}`), hfIndex, `want names of files beside the index, got ".."`},
	{"deep index", put(hfIndex, []byte(`{"x":`+strings.Repeat("[", 1<<20))), hfIndex, "index: want a JSON object"},
	{"deep map", mapped(strings.Repeat(`{"a":`, 1<<18)), hfIndex, "index: want a JSON object"},
	{"1025 files", mapped(many(1025, 1025)), hfIndex, "weight_map: want at most 1024 files, got more"},
	{"32 769 tensors", mapped(many(1<<15+1, 1)), hfIndex, "weight_map: want at most 32768 tensors, got more"},
	{"index of 17 MiB", put(hfIndex, make([]byte, 17<<20)), hfIndex, "read: want at most 16777216 bytes"},
	{"configuration cut", put("config.json", []byte(`{"a":`)), "config.json", "config: want a JSON object"},
	{"configuration an array", put("config.json", []byte(`[]`)), "config.json", "config: want a JSON object"},
	{"configuration null", put("config.json", []byte(`null`)), "config.json", "config: want a JSON object"},
	{"deep configuration", put("config.json", []byte(strings.Repeat(`{"a":`, 1<<17))), "config.json", "config: want a JSON object"},
	{"configuration of 2 MiB", put("config.json", make([]byte, 2<<20)), "config.json", "read: want at most 1048576 bytes"},
	{"embedding twice", only("model.safetensors", one16("model.blocks.0.ln1.weight", "model.emb.weight", "model.embeddings.weight")), "model.safetensors", "tensor model.embeddings.weight: name: want one tensor for emb.weight, got also model.emb.weight"},
	{"heads that do not divide", only("model.safetensors", one16("model.blocks.0.att.r_k"), "config.json", []byte(`{"head_dim":4}`)), "model.safetensors", "tensor model.blocks.0.att.r_k: config.head_dim: want a head size that divides the tensor's length 6, got \"4\""},
	{"heads of no size", only("model.safetensors", one16("model.blocks.0.att.r_k"), "config.json", []byte(`{"head_size":-1}`)), "model.safetensors", "config.head_size: want a head size"},
	{"heads of text", only("model.safetensors", one16("model.blocks.0.att.r_k"), "config.json", []byte(`{"head_size":"\u001b[31m\n"}`)), "model.safetensors", "config.head_size: want a head size"},
	{"fused and not", only("model.safetensors", one16("rwkv7.blocks.0.ln0.weight", "rwkv7.blocks.0.ln1.weight"), "config.json", []byte(`{"embedding_layer_norm_fused":true}`)), "model.safetensors", "tensor blocks.0.ln0.weight: config.embedding_layer_norm_fused: want an embedding without its norm"},
}

func TestHFBroken(t *testing.T) {
	sound := func() map[string][]byte {
		files := sharded(weightstest.Fla(weightstest.RWKV7(small, tensor.F16, 1)), 2)
		files["config.json"] = []byte(`{"model_type":"rwkv7"}`)
		return files
	}
	if _, err := weights.Open(hfDir(t, sound())); err != nil {
		t.Fatal("the directory that is varied is broken itself:", err)
	}
	for _, b := range brokenDirs {
		t.Run(b.name, func(t *testing.T) {
			files := sound()
			b.change(files)
			dir := hfDir(t, files)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := weights.Open(dir)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it opens")
			}
			wantError(t, err, filepath.Join(dir, b.file)+": ", b.fragment)
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 60<<20 {
				t.Errorf("%d KiB allocated", spent>>10)
			}
			if _, err := os.Stat(filepath.Join(dir, hfIndex)); err == nil && !strings.Contains(b.name, "index") && b.file == hfIndex {
				_, byIndex := weights.Open(filepath.Join(dir, hfIndex))
				wantError(t, byIndex, b.fragment)
			}
		})
	}
}

// Directories and special files in the place of files are refused.
func TestHFNotFiles(t *testing.T) {
	for _, name := range []string{"config.json", hfFirst, hfIndex} {
		files := sharded(weightstest.Fla(weightstest.RWKV7(small, tensor.F16, 1)), 2)
		delete(files, name)
		dir := hfDir(t, files)
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := weights.Open(dir)
		wantError(t, err, filepath.Join(dir, name)+": ", "want a")
	}
}

// FuzzIndex reads any index over two sound files.
func FuzzIndex(f *testing.F) {
	files := sharded(weightstest.Fla(weightstest.RWKV7(small, tensor.F16, 1)), 2)
	dir := hfDir(f, files)
	f.Add(files[hfIndex])
	f.Add([]byte(`{"weight_map":{"a":"../x"}}`))
	f.Add([]byte(`{"weight_map":{"a":"` + hfFirst + `","a":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, hfIndex)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := weights.Open(dir)
		if err != nil {
			wantError(t, err, dir)
			return
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
