package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// The files below are made like those that users report. Each has a small model of a version as its base.

func baseOf(version string) []*tensor.Tensor {
	return weightstest.RWKV(version, weightstest.Tiny, tensor.F16, 1)
}

// small returns a tensor of small numbers.
func small(name string, shape ...int) *tensor.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%7)/64 - 0.05
	}
	return tensor.FromFloats(name, shape, x)
}

// plus returns a version's model with more tensors, as safetensors.
func plus(version string, more ...*tensor.Tensor) map[string][]byte {
	return map[string][]byte{"m.safetensors": weightstest.Safetensors(append(baseOf(version), more...), nil)}
}

// renamedTo returns tensors with their names changed.
func renamedTo(list []*tensor.Tensor, name func(string) string) (out []*tensor.Tensor) {
	for _, x := range list {
		out = append(out, weightstest.Renamed(x, name(x.Name)))
	}
	return out
}

func without(list []*tensor.Tensor, part string) []*tensor.Tensor {
	return slices.DeleteFunc(slices.Clone(list), func(x *tensor.Tensor) bool { return strings.Contains(x.Name, part) })
}

// flaWith returns a directory of Hugging Face's with that configuration.
func flaWith(list []*tensor.Tensor, config string) map[string][]byte {
	return map[string][]byte{"model.safetensors": weightstest.Safetensors(weightstest.Fla(list), nil), "config.json": []byte(config)}
}

// ggufWith returns a GGUF file with one annotation changed.
func ggufWith(key string, value any, more ...*tensor.Tensor) map[string][]byte {
	meta := slices.DeleteFunc(weightstest.LlamaMeta(weightstest.Tiny), func(kv weightstest.KV) bool { return kv.Key == key })
	meta = append(meta, weightstest.KV{Key: key, Value: value})
	return map[string][]byte{"m.gguf": weightstest.GGUF(meta, append(weightstest.Llama(baseOf("v7")), more...))}
}

// written writes the files to a new directory, and returns its path, or that of the file if there is one.
func writtenFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	path := dir
	for name, data := range files {
		if len(files) == 1 {
			path = filepath.Join(dir, name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// typed is a safetensors file of a version's model in which a tensor has another type: so many bytes of zeros.
func typed(version, name, dtype string, bytes int) map[string][]byte {
	var members []string
	var body []byte
	for _, x := range baseOf(version) {
		data, typ := loaded(x), x.Type.String()
		if x.Name == name {
			data, typ = make([]byte, bytes), dtype
		}
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", ",")
		members = append(members, fmt.Sprintf(`%q:{"dtype":%q,"shape":[%s],"data_offsets":[%d,%d]}`, x.Name, typ, shape, len(body), len(body)+len(data)))
		body = append(body, data...)
	}
	return map[string][]byte{"m.safetensors": weightstest.File("{"+strings.Join(members, ",")+"}", body)}
}

// refusedFile is refused in a line: about the file, or in a directory about the one that ends in the case's file.
type refusedFile struct {
	name  string
	files map[string][]byte
	in    string // of a directory
	want  string
}

func refusedFiles() []refusedFile {
	return []refusedFile{
		{"head_qk", plus("v4", small("head_q.weight", 8, 32), small("head_k.weight", 8, 32)), "",
			"tensor head_k.weight: want only what RWKV-4 computes, got head_qk, attention that copies tokens of the text"},
		{"tiny attention", plus("v4", small("blocks.1.tiny_q.weight", 8, 32), small("blocks.1.tiny_ln.weight", 32)), "",
			"tensor blocks.1.tiny_ln.weight: want only what RWKV-4 computes, got tiny attention"},
		{"tiny attention of an RWKV-5", plus("v5.2", small("blocks.0.tiny_v.weight", 32, 32)), "", "tensor blocks.0.tiny_v.weight: want only what RWKV-5.2 computes"},
		{"positions", plus("v4", small("blocks.0.pos_emb_x", 1, 8, 32), small("blocks.0.pos_emb_y", 8, 1, 32)), "", "tensor blocks.0.pos_emb_x: want only what RWKV-4 computes, got an embedding of positions"},
		{"channel mix first", map[string][]byte{"m.pth": weightstest.Torch{}.File(append(without(baseOf("v4"), "blocks.0.att."), small("blocks.0.ffnPre.key.weight", 96, 32)))}, "",
			"got a channel mix in the place of the first time mix (pre_ffn): not supported (tensor blocks.0.ffnPre.key.weight)"},
		{"DiSHA", plus("v6", small("blocks.1.att.gate.disha", 4, 32)), "", "tensor blocks.1.att.gate.disha: want only what RWKV-6 computes, got DiSHA (Bone, Bat) that is not merged"},
		{"a LoRA of peft inside", plus("v7", small("blocks.0.ffn.key.lora_A.default.weight", 2, 32)), "", "tensor blocks.0.ffn.key.lora_A.default.weight: want only what RWKV-7 computes, got a LoRA"},
		{"a bias", map[string][]byte{"m.pth": weightstest.Torch{Ordered: true}.File(append(baseOf("v7"), small("blocks.1.att.output.bias", 32)))}, "",
			"tensor blocks.1.att.output.bias: want only what RWKV-7 computes, got a bias of the matrix blocks.1.att.output.weight"},
		{"a bias in GGUF", ggufWith("general.name", "biased", small("blk.0.time_mix_receptance.bias", 32)), "", "got a bias of the matrix blocks.0.att.receptance.weight"},
		{"a bias of the head", plus("v5.0", small("head.bias", 67)), "", "tensor head.bias: want only what RWKV-5.0 computes, got a bias of the matrix head.weight"},
		{"GPTQ", plus("v7", small("blocks.0.att.key.qzeros", 4)), "", "tensor blocks.0.att.key.qzeros: want only what RWKV-7 computes, got scales of a quantized matrix"},
		{"bitsandbytes", plus("v7", small("blocks.0.att.key.weight.absmax", 4)), "", "tensor blocks.0.att.key.weight.absmax: want only what RWKV-7 computes, got scales"},
		{"ROSA beside time mixes", plus("v7", small("blocks.1.rosa.emb", 1, 1, 32)), "", "got RWKV-8 with ROSA: not supported (tensor blocks.1.rosa.emb)"},
		{"ROSA alone", map[string][]byte{"m.pth": weightstest.Torch{}.File(append(without(baseOf("v7"), ".att."), small("blocks.0.rosa.emb", 1, 1, 32), small("blocks.0.ln3.weight", 32)))}, "",
			"got RWKV-8 with ROSA: not supported (tensor blocks.0.rosa.emb)"},
		{"RWKV-7b", plus("v7a", small("blocks.1.qkv.qq.weight", 8, 32)), "", "got RWKV-7b (DeepEmbed attention): not supported (tensor blocks.1.qkv.qq.weight)"},
		{"RWKV-8 hybrid", plus("v8-rc00", small("blocks.0.qkv.qq.weight", 8, 32), small("blocks.0.qkv.ennk.weight", 67, 8)), "", "got RWKV-8 rc00 with attention beside it (hybrid)"},
		{"RWKV-8 of one layer", plus("v7", small("blocks.1.ffn.enn.weight", 67, 32)), "", "tensor blocks.1.ffn.enn.weight: want only what RWKV-7 computes, got a part of RWKV-8-rc00"},
		{"RWKV-8 without a layer", map[string][]byte{"m.pth": weightstest.Torch{}.File(without(baseOf("v8-rc00"), "blocks.1.ffn.enn"))}, "", "tensor blocks.1.ffn.enn.weight: missing from the file"},
		{"a hybrid of fla", map[string][]byte{"m.safetensors": weightstest.Safetensors(append(weightstest.Fla(baseOf("v7")), small("model.layers.1.attn.q_proj.weight", 32, 32)), nil)}, "",
			"got attention in the place of time mixes (a hybrid, or no RWKV): not supported (tensor model.layers.1.attn.q_proj.weight)"},
		{"float8", typed("v7", "blocks.0.ffn.value.weight", "F8_E4M3", 32*96), "", "tensor blocks.0.ffn.value.weight: dtype: want one of F32, F16, BF16, got F8_E4M3"},
		{"doubles", typed("v6", "blocks.1.att.time_decay", "F64", 8*32), "", "tensor blocks.1.att.time_decay: dtype: want one of F32, F16, BF16, got F64"},
		{"converted by the rwkv package", map[string][]byte{"m.pth": weightstest.Torch{Extra: weightstest.Dict{{"_strategy", "cuda fp16i8"}, {"_version", "0.7"}}}.File(baseOf("v4"))}, "",
			`format: want a model as it was published, got one that the rwkv package converted for itself (_strategy "cuda fp16i8")`},
		{"an adapter", map[string][]byte{"adapter_model.safetensors": weightstest.Safetensors([]*tensor.Tensor{small("base_model.model.model.layers.0.attn.r_proj.lora_A.weight", 2, 32)}, nil)}, "",
			"got an adapter of Hugging Face's peft, whose merge_and_unload merges it into its model"},
		{"no model", map[string][]byte{"m.pth": weightstest.Torch{Prefix: "net.transformer."}.File(baseOf("v7"))}, "", "got tensors of none (69, the first named net.transformer.blocks.0.att.a0)"},
		{"a lost layer in GGUF", ggufWith("rwkv7.block_count", uint32(3)), "", "rwkv7.block_count: want 2, as there are tensors (truncated file?), got 3"},
		{"fewer layers in GGUF", ggufWith("rwkv7.block_count", uint32(1)), "", "rwkv7.block_count: want 2, as there are tensors, got 1"},
		{"another width in GGUF", ggufWith("rwkv7.embedding_length", uint32(768)), "", "rwkv7.embedding_length: want 32, as the tensors have it, got 768"},
		{"another rank in GGUF", ggufWith("rwkv7.attention.gate_lora_rank", uint32(128)), "", "rwkv7.attention.gate_lora_rank: want 20, as the tensors have it, got 128"},
		{"a lost layer of Hugging Face", flaWith(baseOf("v7"), `{"num_hidden_layers":24}`), "config.json", "num_hidden_layers: want 2, as there are tensors (truncated file?), got 24"},
		{"another vocabulary", flaWith(baseOf("v7"), `{"vocab_size":65536}`), "config.json", "vocab_size: want 67, as the tensors have it, got 65536"},
		{"another width of the channel mix", flaWith(baseOf("v7"), `{"intermediate_size":128}`), "config.json", "intermediate_size: want 96, as the tensors have it, got 128"},
		{"another head size", flaWith(baseOf("v7"), `{"head_dim":64}`), "config.json", "head_dim: want 16, as the tensors have it, got 64"},
		{"a lost layer of rwkv.cpp", map[string][]byte{"m.bin": weightstest.GGMF{Version: 101, Vocab: 67, Embed: 32, Layers: 3, Type: 1}.File(weightstest.RWKVCpp(baseOf("v7"))...)}, "",
			"n_layer: want 2, as there are tensors (truncated file?), got 3"},
		{"a head that nothing ties", flaWith(without(baseOf("v7"), "head.weight"), `{"tie_word_embeddings":false}`), "model.safetensors", "tensor head.weight: missing from the file"},
		{"a tied head that differs", flaWith(baseOf("v7"), `{"tie_word_embeddings":true}`), "config.json", "tie_word_embeddings: want false, as the head differs from the embedding, got true"},
		{"an epsilon below 0", flaWith(baseOf("v7"), `{"norm_eps":-1e-5}`), "config.json", "norm_eps: want a number above 0, at most 1, got"},
		{"a program", map[string][]byte{"m.pth": weightstest.TorchZip(weightstest.Pickle(2, weightstest.Dict{{"a", weightstest.Call{Func: weightstest.Global("os system"), Args: weightstest.Tuple{"true"}}}}), nil)}, "",
			"pickle: want a state dict, which names only torch's storages and functions that rebuild tensors, got the name os.system"},
	}
}

// Every command refuses them alike.
func TestMadeRefused(t *testing.T) {
	for i, c := range refusedFiles() {
		t.Run(c.name, func(t *testing.T) {
			path := writtenFiles(t, c.files)
			want := filepath.Join(path, c.in) + ": "
			command := append(running, []string{"info"}, []string{"convert", t.TempDir() + "/out.gguf"})[i%(len(running)+2)]
			for _, command := range [][]string{command, {"logits", "--tokens", "1,2"}} {
				r := cli(append(slices.Clone(command), "--model", path)...)
				if wantError(t, r, statusInput, want, c.want); r.stdout != "" {
					t.Errorf("%s: %s", command[0], r)
				}
			}
		})
	}
}
