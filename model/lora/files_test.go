package lora_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A LoRA that does not fit is refused with an error that names its file, the tensor, and what was wanted and found.
func TestLoRAErrors(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	const key = "blocks.0.att.key."
	a, b := weightstest.Ones(key+"lora_A", 2, 32), weightstest.Ones(key+"lora_B", 32, 2)
	huge := tensor.FromFloats(key+"lora_B", []int{32, 2}, append(make([]float32, 63), 1e30))
	infinite := tensor.FromFloats(key+"lora_A", []int{2, 32}, append(make([]float32, 63), float32(math.Inf(1))))
	for _, c := range []struct {
		want string
		file []*tensor.Tensor
	}{
		{"tensor " + key + "lora_A: partner: want " + key + "lora_B, got no such tensor", []*tensor.Tensor{a}},
		{"tensor " + key + "lora_B: partner: want " + key + "lora_A, got no such tensor", []*tensor.Tensor{b}},
		{"tensor " + key + "lora_A: shape: want [r 32] for blocks.0.att.key.weight [32 32], got [2 31]", []*tensor.Tensor{weightstest.Ones(key+"lora_A", 2, 31), b}},
		{"tensor " + key + "lora_B: shape: want [32 2], rank 2 as in lora_A, for blocks.0.att.key.weight [32 32], got [32 3]", []*tensor.Tensor{a, weightstest.Ones(key+"lora_B", 32, 3)}},
		{"tensor " + key + "lora_B: shape: want [32 2], rank 2 as in lora_A, for blocks.0.att.key.weight [32 32], got [2 32]", []*tensor.Tensor{a, weightstest.Ones(key+"lora_B", 2, 32)}},
		{"tensor blocks.7.att.key.lora_A: model: want blocks.7.att.key.weight in made.safetensors, got no such tensor", []*tensor.Tensor{weightstest.Ones("blocks.7.att.key.lora_A", 2, 32), weightstest.Ones("blocks.7.att.key.lora_B", 32, 2)}},
		{"tensor blocks.0.ln1.lora_A: model: want blocks.0.ln1.weight to be a matrix, got [32]", []*tensor.Tensor{weightstest.Ones("blocks.0.ln1.lora_A", 2, 32), weightstest.Ones("blocks.0.ln1.lora_B", 32, 2)}},
		{"tensor blocks.0.att.time_decay: model: want a tensor of this name in made.safetensors, got none", []*tensor.Tensor{a, b, weightstest.Ones("blocks.0.att.time_decay", 32)}},
		{"tensor blocks.0.ln1.weight: shape: want [32] as in made.safetensors, got [33]", []*tensor.Tensor{a, b, weightstest.Ones("blocks.0.ln1.weight", 33)}},
		{"tensor " + key + "bone: kind: want lora_A and lora_B, disha, or a tensor of the model, got Bone", []*tensor.Tensor{weightstest.Ones(key+"bone", 8, 32)}},
		{"tensor " + key + "disha: shape: want [r 32], or [32/r r r]", []*tensor.Tensor{weightstest.Ones(key+"disha", 8, 31)}},
		{"tensor " + key + "disha: shape: want", []*tensor.Tensor{weightstest.Ones(key+"disha", 4, 7, 7)}},
		{"tensors: want a LoRA (tensors named ….lora_A and ….lora_B, or ….disha), got an initial state, which a model begins with", []*tensor.Tensor{weightstest.Ones("blocks.0.att.time_state", 2, 16, 16)}},
		{"tensors: want a LoRA (tensors named ….lora_A and ….lora_B, or ….disha), got a model", base},
		{"tensor " + key + "lora_A: value: want finite numbers, got +Inf at [1 31]", []*tensor.Tensor{infinite, b}},
		{"tensor blocks.0.att.key.weight: value: want finite numbers in F16 once merged, got one beyond its range at [31 0]", []*tensor.Tensor{a, huge}},
	} {
		path := weightstest.Write(t, "l.pth", c.file)
		m, _, err := lora.Apply(parse(t, base), []lora.File{at(path, 1)})
		if err == nil {
			_, err = m.Tensors["blocks.0.att.key.weight"].Load()
		}
		var e *weights.Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), path+": "+c.want) {
			t.Errorf("want %q, got %v", path+": "+c.want, err)
		}
	}
}

// Every tensor of a LoRA counts, whatever its type.
func TestLoRAUnread(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	pair := weightstest.LoRA(list, 2, tensor.F16, 1)[:2]
	header := `{"blocks.0.att.receptance.lora_A":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]},` +
		`"blocks.1.att.key.lora_A":{"dtype":"F64","shape":[2,32],"data_offsets":[128,640]}}`
	path := filepath.Join(t.TempDir(), "f.safetensors")
	data, err := pair[0].Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, weightstest.File(header, append(slices.Clone(data), make([]byte, 512)...)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = lora.Apply(parse(t, list), []lora.File{at(path, 1)})
	if want := path + ": tensor blocks.1.att.key.lora_A: dtype: want one of F32, F16, BF16, got F64"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}

// A change to one tensor of a tied embedding and head would have to be one to the other.
func TestLoRATied(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	emb := list[weightstest.Index(t, list, "emb.weight")]
	untied := slices.DeleteFunc(slices.Clone(list), func(x *tensor.Tensor) bool { return x.Name == "head.weight" })
	for _, tied := range []bool{true, false} {
		tensors := list
		if tied {
			tensors = untied
		}
		f, err := weights.Open(weightstest.Directory(t, weightstest.Fla(tensors), map[string]any{"tie_word_embeddings": tied}))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"emb.weight", "head.weight"} {
			path := weightstest.Write(t, "lora.pth", append(weightstest.LoRA(list, 2, tensor.F16, 1)[:2], weightstest.Renamed(emb, part)))
			_, _, err := lora.Apply(f, []lora.File{at(path, 1)})
			if refused := err != nil && strings.HasPrefix(err.Error(), path+": tensor "+part+": model: want a head beside the embedding in "); refused != tied {
				t.Errorf("tied %v: a LoRA with %s: got %v", tied, part, err)
			}
		}
		_ = f.Close()
	}
}

// Closing the file closes the model's and the LoRA's, and an error closes the LoRAs alone.
func TestLoRACloses(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	base, err := weights.Open(weightstest.Write(t, "m.st", list))
	if err != nil {
		t.Fatal(err)
	}
	good := at(weightstest.Write(t, "l.pth", weightstest.LoRA(list, 2, tensor.F16, 1)), 1)
	if _, _, err := lora.Apply(base, []lora.File{good, at("missing", 1)}); err == nil {
		t.Fatal("a missing file was merged")
	}
	f, _, err := lora.Apply(base, []lora.File{good})
	if err != nil {
		t.Fatal(err)
	}
	const changed = "blocks.0.att.key.weight"
	if _, err := f.Tensors[changed].Load(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for name, x := range map[string]*tensor.Tensor{"model": base.Tensors[changed], "LoRA": f.Sources[0].Tensors["blocks.0.att.key.lora_A"]} {
		if _, err := x.Load(); !errors.Is(err, weights.ErrClosed) {
			t.Errorf("%s: want a closed file, got %v", name, err)
		}
	}
}

// What is no LoRA is called what it is.
func TestNotLoRA(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	for want, file := range map[string][]*tensor.Tensor{
		"a model":                    list,
		"an initial state, which":    {weightstest.Ones("blocks.0.att.time_state", 2, 16, 16)},
		"an adapter of Hugging Face": {weightstest.Ones("base_model.model.model.layers.0.attn.r_proj.lora_A.weight", 2, 2)},
		"tensors of none (1, the":    {weightstest.Ones("x", 2)},
	} {
		_, _, err := lora.Apply(parse(t, list), []lora.File{at(weightstest.Write(t, "l.st", file), 1)})
		if err == nil || !strings.Contains(err.Error(), "tensors: want a LoRA (tensors named ….lora_A and ….lora_B, or ….disha), got "+want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
