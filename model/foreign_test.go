package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Tensors that would change what a model computes are refused by name, whatever the version; names that only resemble
// them are not.
func TestAdditions(t *testing.T) {
	reference.Sequential(t)
	for name, c := range map[string]struct {
		what  string
		shape []int
	}{
		"blocks.0.att.key.lora_A":                {"LoRA", []int{4, 32}},
		"blocks.1.ffn.value.lora_B":              {"LoRA", []int{32, 4}},
		"blocks.0.att.key.lora_A.default.weight": {"LoRA", []int{4, 32}},
		"blocks.0.att.key.init_lora_B":           {"LoRA", []int{32, 4}},
		"blocks.0.att.key.lora_magnitude_vector": {"LoRA", []int{32}},
		"blocks.0.att.output.disha":              {"DiSHA", []int{4, 32}},
		"blocks.0.att.output.bone":               {"DiSHA", []int{4, 32}},
		"head_q.weight":                          {"head_qk", []int{8, 32}},
		"head_k.weight":                          {"head_qk", []int{8, 32}},
		"copy_mask":                              {"head_qk", []int{9, 9}},
		"blocks.1.tiny_q.weight":                 {"tiny attention", []int{8, 32}},
		"blocks.1.tiny_ln.bias":                  {"tiny attention", []int{32}},
		"blocks.1.tiny_mask":                     {"tiny attention", []int{9, 9}},
		"blocks.1.att.qq.weight":                 {"attention beside", []int{8, 32}},
		"blocks.1.att.time_mix_kk":               {"attention beside", []int{1, 1, 32}},
		"blocks.0.ffn.aa.weight":                 {"MishGLU", []int{96, 32}},
		"blocks.0.pos_emb_x":                     {"positions", []int{1, 8, 32}},
		"pos_emb.weight":                         {"positions", []int{8, 32}},
		"blocks.1.att.key.weight_mx":             {"8-bit", []int{32}},
		"blocks.1.att.key.weight.absmax":         {"scales of a quantized matrix", []int{32}},
		"blocks.1.att.key.weight_scale_inv":      {"scales of a quantized matrix", []int{1, 1}},
		"blocks.1.att.key.qweight":               {"scales of a quantized matrix", []int{4, 32}},
		"blocks.0.att.key.bias":                  {"a bias of the matrix blocks.0.att.key.weight", []int{32}},
		"blocks.1.ffn.value.bias":                {"a bias of the matrix blocks.1.ffn.value.weight", []int{32}},
		"head.bias":                              {"a bias of the matrix head.weight", []int{67}},
		"blocks.1.att.lora_ready":                {"", []int{1}},
		"optimizer.step":                         {"", []int{1}},
		"value_head.weight":                      {"", []int{1, 32}},
		"value_head.bias":                        {"", []int{1}},
		"blocks.1.att.tiny":                      {"", []int{1}},
		"header_q.weight":                        {"", []int{1, 1}},
		"proj.position_embedding.weight":         {"", []int{4, 4}},
		"encoder.pos_emb":                        {"", []int{8, 32}},
		"encoder.blocks.0.pos_emb_x":             {"", []int{1, 8, 32}},
		"encoder.layers.0.q.lora_A":              {"", []int{4, 32}},
		"encoder.blocks.0.att.key.disha":         {"", []int{4, 32}},
		"encoder.layers.0.q.weight_scale":        {"", []int{1, 1}},
		"encoder.q.weight_mx":                    {"", []int{32}},
		"model.layers.1.attn.k_proj.w.lora_B":    {"LoRA", []int{32, 4}},
	} {
		for version := range allVersions {
			list := append(weightstest.RWKV(version, weightstest.Tiny, tensor.F32, 1), weightstest.Ones(name, c.shape...))
			m, err := New(parse(t, list))
			switch {
			case c.what != "" && (err == nil || !strings.Contains(err.Error(), "tensor "+name+": want only what RWKV-") || !strings.Contains(err.Error(), c.what)):
				t.Errorf("%s in %s: want an error about %s, got %v", name, version, c.what, err)
			case c.what == "" && (err != nil || !slices.Equal(m.Unused, []string{name})):
				t.Errorf("%s in %s: want it unused, got %v", name, version, err)
			}
		}
	}
}

// A network that stands on the model, such as a classifier, is not the model's: neither its matrices nor their biases
// are a reason to refuse it.
func TestOtherNetworks(t *testing.T) {
	for _, stem := range []string{"value_head", "classifier", "score.dense"} {
		for version := range allVersions {
			list := append(weightstest.RWKV(version, weightstest.Tiny, tensor.F32, 1), weightstest.Ones(stem+".weight", 5, 32), weightstest.Ones(stem+".bias", 5))
			m, err := New(parse(t, list))
			if err != nil || !slices.Equal(m.Unused, []string{stem + ".bias", stem + ".weight"}) {
				t.Errorf("%s in %s: want both unused, got %v", stem, version, err)
			}
		}
	}
}

// What a version has in its layers, another one does without only if that is said.
func TestPartsOfOthers(t *testing.T) {
	for _, c := range []struct{ version, part, of string }{
		{"v7", "ffn.enn.weight", "RWKV-8-rc00"}, {"v7", "ffn.s_emb.weight", "RWKV-7a"}, {"v8-rc00", "ffn.s1", "RWKV-7a"}, {"v7", "ffn.receptance.weight", "RWKV-4"},
		{"v7", "att.gate.weight", "RWKV-5.1"}, {"v4", "att.time_state", "RWKV-5.0"}, {"v6", "att.time_mix_g", "RWKV-5.1"}, {"v5.0", "att.time_mix_g", "RWKV-5.1"},
	} {
		name := "blocks.1." + c.part
		tryNew(t, append(weightstest.RWKV(c.version, weightstest.Tiny, tensor.F32, 1), weightstest.Ones(name, 32, 32)), name, "got a part of "+c.of+": it would change the result")
	}
}

// The notice of what is not used counts it and names the first, but not what files of the version carry for nothing.
func TestUnusedNotice(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	notice := func(more ...string) string {
		t.Helper()
		all := slices.Clone(list)
		for _, name := range more {
			all = append(all, weightstest.Ones(name, 3))
		}
		m, err := New(parse(t, all))
		if err != nil {
			t.Fatal(err)
		}
		return m.UnusedNotice()
	}
	if got := notice("blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2"); got != "" {
		t.Errorf("want no notice, got %q", got)
	}
	if got, want := notice("b", "blocks.0.att.v0", "a"), "tensors that RWKV-7 does not use: 2 (a b)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if got, want := notice(strings.Fields("a b c d e f g h i j")...), "tensors that RWKV-7 does not use: 10 (a b c d e f g h and 2 more)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}
