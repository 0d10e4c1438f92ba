package weights_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// hfLayouts are the Hugging Face layouts of v7 and how to write them.
var hfLayouts = map[string]func([]*tensor.Tensor) []*tensor.Tensor{
	"Hugging Face fla":     weightstest.Fla,
	"Hugging Face rwkv-rs": weightstest.Native,
	"Hugging Face rwkv7": func(x []*tensor.Tensor) []*tensor.Tensor {
		return weightstest.Prefixed(x, "rwkv7.", "embeddings")
	},
}

// A v7 model reads the same from every Hugging Face layout, for random sizes and types.
func TestHFEqualsOriginal(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	for i := range 30 {
		rank := func() int { return 1 + rng.IntN(40) }
		s := weightstest.Size{Vocab: 2 + rng.IntN(50), Layers: 1 + rng.IntN(3), Head: 8, FFN: 1 + rng.IntN(70), W: rank(), A: rank(), V: rank(), G: rank()}
		s.Embed = s.Head * (2 + rng.IntN(4))
		original := weightstest.RWKV7(s, tensor.Types[i%3], rng.Uint64())
		want := parse(t, weightstest.Safetensors(original, nil))
		for layout, write := range hfLayouts {
			f := parse(t, weightstest.Safetensors(write(original), nil))
			if f.Layout != layout || f.EmbeddingNormed {
				t.Fatalf("%+v: want %s, got %s (%s), normed %v", s, layout, f.Layout, f.Evidence, f.EmbeddingNormed)
			}
			sameTensors(t, want, f)
		}
		for _, embedding := range []string{"emb", "embeddings"} {
			f := parse(t, weightstest.Safetensors(weightstest.Prefixed(original, "model.", embedding), nil))
			sameTensors(t, want, f)
		}
	}
}

// An embedding that went through ln0 already is known by the norm's absence, where the layout has such files; what a
// configuration says must agree.
func TestHFFusedEmbedding(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	bare := slices.DeleteFunc(slices.Clone(original), func(x *tensor.Tensor) bool { return strings.Contains(x.Name, ".ln0.") })
	if parse(t, weightstest.Safetensors(bare, nil)).EmbeddingNormed {
		t.Error("an original file without ln0 lacks it")
	}
	for layout, write := range hfLayouts {
		if !parse(t, weightstest.Safetensors(write(bare), nil)).EmbeddingNormed {
			t.Errorf("%s without ln0 is normed", layout)
		}
		for said, tensors := range map[bool][]*tensor.Tensor{true: bare, false: original} {
			dir := hfDir(t, map[string][]byte{
				"model.safetensors": weightstest.Safetensors(write(tensors), nil),
				"config.json":       fmt.Appendf(nil, `{"embedding_layer_norm_fused":%v,"head_size":16}`, said),
			})
			if f := open(t, dir); f.EmbeddingNormed != said || f.Meta["config.head_size"] != "16" {
				t.Errorf("%s: normed %v, said %v; %v", layout, f.EmbeddingNormed, said, f.Meta)
			}
		}
	}
}

// A single head leaves r_k a vector where dimensions of 1 are dropped; the configuration gives it its heads back.
func TestHFSingleHead(t *testing.T) {
	s := weightstest.Tiny
	s.Embed, s.Head = 16, 16
	original := weightstest.RWKV7(s, tensor.F16, 1)
	dir := hfDir(t, map[string][]byte{
		"model.safetensors": weightstest.Safetensors(weightstest.Native(original), nil), "config.json": []byte(`{"head_size":16}`),
	})
	sameTensors(t, parse(t, weightstest.Safetensors(original, nil)), open(t, dir))
}

// The older layout's names, of v4 to v6, are the original ones in longer words.
func TestHFOlder(t *testing.T) {
	names := map[string]string{
		"rwkv.embeddings.weight": "emb.weight", "rwkv.ln_out.bias": "ln_out.bias", "head.weight": "head.weight", "rwkv.blocks.0.pre_ln.weight": "blocks.0.ln0.weight",
		"rwkv.blocks.0.ln1.bias": "blocks.0.ln1.bias", "rwkv.blocks.11.ln2.weight": "blocks.11.ln2.weight",
		"rwkv.blocks.1.attention.time_decay": "blocks.1.att.time_decay", "rwkv.blocks.1.attention.time_first": "blocks.1.att.time_first",
		"rwkv.blocks.1.attention.time_mix_key": "blocks.1.att.time_mix_k", "rwkv.blocks.1.attention.time_mix_value": "blocks.1.att.time_mix_v",
		"rwkv.blocks.1.attention.time_mix_receptance": "blocks.1.att.time_mix_r", "rwkv.blocks.1.attention.time_mix_gate": "blocks.1.att.time_mix_g",
		"rwkv.blocks.1.attention.key.weight": "blocks.1.att.key.weight", "rwkv.blocks.1.attention.output.weight": "blocks.1.att.output.weight",
		"rwkv.blocks.1.attention.gate.weight": "blocks.1.att.gate.weight", "rwkv.blocks.1.attention.ln_x.bias": "blocks.1.att.ln_x.bias",
		"rwkv.blocks.1.attention.time_faaaa": "blocks.1.att.time_faaaa", "rwkv.blocks.1.attention.time_maa_w1": "blocks.1.att.time_maa_w1",
		"rwkv.blocks.1.attention.time_maa_x": "blocks.1.att.time_maa_x", "rwkv.blocks.1.attention.time_decay_w2": "blocks.1.att.time_decay_w2",
		"rwkv.blocks.1.feed_forward.time_mix_key": "blocks.1.ffn.time_mix_k", "rwkv.blocks.1.feed_forward.time_maa_r": "blocks.1.ffn.time_maa_r",
		"rwkv.blocks.1.feed_forward.receptance.weight": "blocks.1.ffn.receptance.weight", "rwkv.blocks.1.feed_forward.value.weight": "blocks.1.ffn.value.weight",
		"rwkv.blocks.x.ln1.weight": "rwkv.blocks.x.ln1.weight", "rwkv.blocks.0.new.weight": "rwkv.blocks.0.new.weight",
	}
	var tensors []*tensor.Tensor
	var want []string
	for name, o := range names {
		tensors, want = append(tensors, zeros(name, 3, 2)), append(want, o)
	}
	slices.Sort(want)
	f := parse(t, weightstest.Safetensors(tensors, nil))
	if f.Layout != "Hugging Face rwkv" || !slices.Equal(f.Names(), want) {
		t.Errorf("%s (%s): want %v, got %v", f.Layout, f.Evidence, want, f.Names())
	}
	if x := f.Tensors["blocks.1.att.time_maa_w1"]; !slices.Equal(x.Shape, []int{3, 2}) {
		t.Errorf("%s is not to be turned", x)
	}
}

// hfDir writes files into a new directory.
func hfDir(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// sharded returns the files of a directory with n shards and their index.
func sharded(tensors []*tensor.Tensor, n int) map[string][]byte {
	files, where := map[string][]byte{}, map[string]string{}
	for i := range n {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
		part := tensors[len(tensors)*i/n : len(tensors)*(i+1)/n]
		for _, x := range part {
			where[x.Name] = name
		}
		files[name] = weightstest.Safetensors(part, map[string]string{"format": "pt"})
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 1, "x": []any{map[string]any{}}}, "weight_map": where})
	if err != nil {
		panic(err)
	}
	files["model.safetensors.index.json"] = index
	return files
}

// A model in several files opens by directory and by index, whole, and closes.
func TestHFShards(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	want := parse(t, weightstest.Safetensors(original, nil))
	for n := 1; n <= 4; n++ {
		files := sharded(weightstest.Fla(original), n)
		files["config.json"] = []byte(`{"model_type":"rwkv7","head_dim":16,"norm_eps":1e-05,"attn":null,"value_dim":[1,2]}`)
		dir := hfDir(t, files)
		paths := []string{dir, filepath.Join(dir, "model.safetensors.index.json")}
		if n == 1 { // the one file is not named like those of a directory
			alone := hfDir(t, map[string][]byte{"model.safetensors": weightstest.Safetensors(weightstest.Fla(original), map[string]string{"format": "pt"}), "config.json": files["config.json"]})
			paths = append(paths, alone, filepath.Join(alone, "model.safetensors"))
		}
		for _, path := range paths {
			f := open(t, path)
			sameTensors(t, want, f)
			if f.Format != "safetensors" || f.Meta["config.norm_eps"] != "1e-05" || f.Meta["format"] != "pt" || f.Bytes() < 2*want.Bytes()/3 {
				t.Errorf("%s: %s, %v, %d bytes", path, f.Format, f.Meta, f.Bytes())
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			_, err := f.Tensors["emb.weight"].Load()
			wantError(t, err, "closed")
		}
	}
}

// A directory of any one model file opens as it.
func TestDirectoryOfOne(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	want := parse(t, weightstest.Safetensors(original, nil))
	for name, data := range map[string][]byte{
		"rwkv.safetensors": weightstest.Safetensors(original, nil), "model.gguf": weightstest.GGUF(weightstest.LlamaMeta(weightstest.Tiny), weightstest.Llama(original)),
		"pytorch_model.bin": weightstest.Safetensors(original, nil), // what it holds is what counts
	} {
		f := open(t, hfDir(t, map[string][]byte{name: data, "README.md": []byte("x"), "tokenizer.json": []byte("{}")}))
		sameTensors(t, want, f)
		if (name == "model.gguf") != (f.Vocab != nil) {
			t.Errorf("%s: %d tokens", name, len(f.Vocab))
		}
	}
}

// The directories of the synthetic models hold the numbers of the same model's .safetensors.
func TestSharedHF(t *testing.T) {
	models := reference.Shared(t, "vectors", "models")
	for _, name := range []string{"v7-C192-L2/hf_bf16", "v7-C192-L2/hf_bf16/model.safetensors", "v7-C64-L2/hf_bf16_sharded", "v7-C64-L2/hf_bf16_sharded/model.safetensors.index.json"} {
		path := filepath.Join(models, filepath.FromSlash(name))
		f := open(t, path)
		if f.Layout != "Hugging Face fla" || f.EmbeddingNormed {
			t.Errorf("%s: %s, normed %v", name, f.Layout, f.EmbeddingNormed)
		}
		model, _, _ := strings.Cut(name, "/")
		sameNumbers(t, f, open(t, filepath.Join(models, model, model+".safetensors")))
	}
}

// Low-rank matrices that are linear layers in transformers are turned back.
func TestTransformersLinear(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 3)
	var linear []*tensor.Tensor
	turned := 0
	for _, x := range weightstest.Prefixed(original, "model.", "embeddings") {
		if part := x.Name[strings.LastIndexByte(x.Name, '.')+1:]; len(part) == 2 && strings.Contains("12", part[1:]) {
			x = weightstest.Renamed(x.Transposed(), x.Name+".weight")
			turned++
		}
		linear = append(linear, x)
	}
	f := parse(t, weightstest.Safetensors(linear, nil))
	if sameTensors(t, parse(t, weightstest.Safetensors(original, nil)), f); f.Layout != "Hugging Face rwkv7" || turned != 14 {
		t.Errorf("%s, %d matrices", f.Layout, turned)
	}
}

// fla's fused mixes of early 2025 are cut in their order, r w k v a g.
func TestFlaFused(t *testing.T) {
	plain := weightstest.Fla(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 3))
	want := parse(t, weightstest.Safetensors(plain, nil))
	var fused []*tensor.Tensor
	for _, x := range plain {
		stem, mix, ok := strings.Cut(x.Name, ".attn.x_")
		switch {
		case !ok:
			fused = append(fused, x)
		case mix == "r":
			var all []byte
			for _, m := range []string{"r", "w", "k", "v", "a", "g"} {
				i := slices.IndexFunc(plain, func(x *tensor.Tensor) bool { return x.Name == stem+".attn.x_"+m })
				data, err := plain[i].Load()
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, data...)
			}
			fused = append(fused, tensor.FromBytes(stem+".attn.x_x", x.Type, []int{6, x.Len()}, all))
		}
	}
	sameTensors(t, want, parse(t, weightstest.Safetensors(fused, nil)))
	i := slices.IndexFunc(fused, func(x *tensor.Tensor) bool { return strings.HasSuffix(x.Name, ".x_x") })
	fused[i] = zeros(fused[i].Name, 5, 32)
	_, err := weights.Parse("m", weightstest.Safetensors(fused, nil))
	wantError(t, err, "m: tensor "+fused[i].Name+": shape: want [6 ... C], a row for each of r w k v a g, got F32[5 32]")
}
