package model

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// openMade opens a file and closes it with the test.
func openMade(t *testing.T, path string) (*Model, error) {
	t.Helper()
	m, err := Open(path)
	if err == nil {
		t.Cleanup(func() { _ = m.Close() })
	}
	return m, err
}

// Every size that a config.json states is compared with the tensors; its error names the configuration.
func TestConfigSizes(t *testing.T) {
	s := weightstest.Tiny
	list := weightstest.Fla(weightstest.RWKV7(s, tensor.F16, 1))
	right := map[string]any{
		"num_hidden_layers": s.Layers, "hidden_size": s.Embed, "attention_hidden_size": s.Embed, "intermediate_size": s.FFN, "vocab_size": s.Vocab,
		"head_dim": s.Head, "head_size": s.Head, "decay_low_rank_dim": s.W, "a_low_rank_dim": s.A, "v_low_rank_dim": s.V, "gate_low_rank_dim": s.G,
		"lora_rank_decay": s.W, "lora_rank_iclr": s.A, "lora_rank_value_residual_mix": s.V, "lora_rank_gate": s.G,
	}
	others := map[string]any{"num_attention_heads": 64, "max_position_embeddings": 1, "hidden_ratio": 3.5, "value_dim": []int{1}, "attn": nil}
	build := func(key string, value any) map[string]any {
		c := map[string]any{}
		for k, v := range right {
			c[k] = v
		}
		for k, v := range others {
			c[k] = v
		}
		if key != "" {
			c[key] = value
		}
		return c
	}
	if _, err := openMade(t, weightstest.Directory(t, list, build("", nil))); err != nil {
		t.Fatal(err)
	}
	for key, n := range right {
		for _, wrong := range []int{n.(int) + 1, n.(int) - 1} {
			dir := weightstest.Directory(t, list, build(key, wrong))
			_, err := openMade(t, dir)
			want := fmt.Sprintf("%s: %s: want %d, as the", filepath.Join(dir, "config.json"), key, n)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), fmt.Sprintf(", got %d", wrong)) {
				t.Errorf("%s of %d: want %q, got %v", key, wrong, want, err)
			}
		}
		for _, odd := range []any{0, -1, 1.5, true, "2 layers"} {
			if _, err := openMade(t, weightstest.Directory(t, list, build(key, odd))); err == nil || !strings.Contains(err.Error(), "config.json: "+key+": want a whole number of 1 or more, got") {
				t.Errorf("%s of %v: got %v", key, odd, err)
			}
		}
		if _, err := openMade(t, weightstest.Directory(t, list, build(key, nil))); err != nil {
			t.Errorf("%s of null: %v", key, err)
		}
	}
	if _, err := openMade(t, weightstest.Directory(t, list, map[string]any{"num_heads": 77, "head_dim": s.Head})); err != nil {
		t.Errorf("heads beside their size, which fla does not look at: %v", err)
	}
	if _, err := openMade(t, weightstest.Directory(t, list, map[string]any{"hidden_act": "sqrelu"})); err != nil {
		t.Errorf("the usual activation: %v", err)
	}
	if _, err := openMade(t, weightstest.Directory(t, list, map[string]any{"hidden_act": "relu"})); err == nil || !strings.Contains(err.Error(), `config.json: hidden_act: want sqrelu, which is all that RWKV has here, got "relu"`) {
		t.Errorf("another activation: got %v", err)
	}
	heads := map[string]any{"num_heads": 3}
	if _, err := openMade(t, weightstest.Directory(t, list, heads)); err == nil || !strings.Contains(err.Error(), "config.json: num_heads: want 2, as the tensors have it, got 3") {
		t.Errorf("heads without their size: got %v", err)
	}
}

// changedMeta returns llama.cpp's annotations of a model with one that is another.
func changedMeta(s weightstest.Size, key string, value any) []weightstest.KV {
	meta := weightstest.LlamaMeta(s)
	for i := range meta {
		if meta[i].Key == key {
			meta[i].Value = value
			return meta
		}
	}
	return append(meta, weightstest.KV{Key: key, Value: value})
}

// Every size that a GGUF file states is compared with the tensors.
func TestGGUFSizes(t *testing.T) {
	s := weightstest.Tiny
	list := weightstest.Llama(weightstest.RWKV7(s, tensor.F16, 1))
	parsed := func(meta []weightstest.KV) (*Model, error) {
		f, err := weights.Parse("made.gguf", weightstest.GGUF(meta, list))
		if err != nil {
			return nil, err
		}
		return New(f)
	}
	for key, n := range map[string]int{
		"block_count": s.Layers, "embedding_length": s.Embed, "feed_forward_length": s.FFN, "vocab_size": s.Vocab,
		"attention.decay_lora_rank": s.W, "attention.iclr_lora_rank": s.A, "attention.value_residual_mix_lora_rank": s.V, "attention.gate_lora_rank": s.G,
	} {
		key = "rwkv7." + key
		if _, err := parsed(changedMeta(s, key, uint32(n))); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		for _, wrong := range []any{uint32(n + 1), uint64(n - 1), int32(1000)} {
			_, err := parsed(changedMeta(s, key, wrong))
			want := fmt.Sprintf("made.gguf: %s: want %d, as the", key, n)
			if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), fmt.Sprintf(", got %v", wrong)) {
				t.Errorf("%s of %v: want %q, got %v", key, wrong, want, err)
			}
		}
		for _, odd := range []any{"many", float32(1.5), int32(-1), []int32{1, 2}} {
			if _, err := parsed(changedMeta(s, key, odd)); err == nil || !strings.Contains(err.Error(), key+": want a whole number of 1 or more") {
				t.Errorf("%s of %v: got %v", key, odd, err)
			}
		}
	}
	const shifts = "rwkv7.token_shift_count"
	if _, err := parsed(changedMeta(s, shifts, uint32(2))); err != nil {
		t.Errorf("%s: %v", shifts, err)
	}
	if _, err := parsed(changedMeta(s, shifts, uint32(1))); err == nil || !strings.Contains(err.Error(), `made.gguf: rwkv7.token_shift_count: want 2, which is all that RWKV has here, got "1"`) {
		t.Errorf("%s of a hybrid: got %v", shifts, err)
	}
	const total = "split.tensors.count"
	if _, err := parsed(changedMeta(s, total, int32(len(list)))); err != nil {
		t.Errorf("%s: %v", total, err)
	}
	if _, err := parsed(changedMeta(s, total, int32(403))); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("made.gguf: %s: want %d, as there are tensors, got 403", total, len(list))) {
		t.Errorf("%s: got %v", total, err)
	}
	if _, err := parsed(changedMeta(s, "rwkv7.block_count", uint32(3))); err == nil || !strings.Contains(err.Error(), "want 2, as there are tensors (truncated file?), got 3") {
		t.Errorf("a layer that is lost: got %v", err)
	}
}

// epsilons returns those of a program's ops: of layer norms, and of the norm over each head.
func epsilons(m *Model) (norm, group map[float32]bool) {
	norm, group = map[float32]bool{}, map[float32]bool{}
	for _, s := range m.Program.Steps {
		switch o := s.Op.(type) {
		case *op.Embed:
			if o.Normed() {
				norm[o.Eps] = true
			}
		case *op.LayerNorm:
			norm[o.Eps] = true
		case *op.ShiftMix:
			norm[o.Eps] = true
		case *op.WKV7:
			group[o.Eps] = true
		case *op.WKV6:
			group[o.Eps] = true
		}
	}
	return norm, group
}

// Epsilons that a file states are those of every norm: in config.json as each layout means them, in GGUF files, and in
// the safetensors files that convert writes.
func TestStatedEpsilons(t *testing.T) {
	s := weightstest.Tiny
	v7, v6 := weightstest.RWKV7(s, tensor.F16, 1), weightstest.RWKV("v6", s, tensor.F16, 1)
	gguf := func(key string, value any) func(t *testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, weightstest.GGUF(changedMeta(s, key, value), weightstest.Llama(v7)), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	config := func(list []*tensor.Tensor, key string, value any) func(t *testing.T) string {
		return func(t *testing.T) string { return weightstest.Directory(t, list, map[string]any{key: value}) }
	}
	annotated := func(list []*tensor.Tensor, meta map[string]string) func(t *testing.T) string {
		return func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "m.safetensors")
			if err := os.WriteFile(path, weightstest.Safetensors(list, meta), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}
	}
	for name, c := range map[string]struct {
		write       func(t *testing.T) string
		norm, group float32
		err         string
	}{
		"fla":                      {config(weightstest.Fla(v7), "norm_eps", 1e-3), 1e-3, 16e-3, ""},
		"fla of the usual epsilon": {config(weightstest.Fla(v7), "norm_eps", 1e-5), 1e-5, 16e-5, ""},
		"rwkv-rs":                  {config(weightstest.Native(v7), "norm_eps", 1e-4), 1e-4, 64e-5, ""},
		"rwkv7, layers":            {config(weightstest.Prefixed(v7, "model.", "embeddings"), "layer_norm_epsilon", 1e-6), 1e-6, 64e-5, ""},
		"rwkv7, heads":             {config(weightstest.Prefixed(v7, "model.", "embeddings"), "group_norm_epsilon", 2e-3), 1e-5, 2e-3, ""},
		"transformers, layers":     {config(weightstest.Transformers(v6), "layer_norm_epsilon", 1e-4), 1e-4, 64e-5, ""},
		"transformers, divisor":    {config(weightstest.Transformers(v6), "head_size_divisor", 4), 1e-5, 16e-5, ""},
		"nothing stated":           {config(weightstest.Fla(v7), "model_type", "rwkv7"), 1e-5, 64e-5, ""},
		"GGUF, layers":             {gguf("rwkv7.attention.layer_norm_epsilon", float32(1e-3)), 1e-3, 64e-5, ""},
		"GGUF, heads":              {gguf("rwkv7.attention.group_norm_epsilon", float32(1e-3)), 1e-5, 1e-3, ""},
		"annotations":              {annotated(v7, map[string]string{"norm_eps": "0.001", "group_norm_eps": "0.01"}), 1e-3, 1e-2, ""},
		"annotations of v5":        {annotated(weightstest.RWKV("v5.2", s, tensor.F16, 1), map[string]string{"group_norm_eps": "1e-05"}), 1e-5, 1e-5, ""},
		"negative":                 {config(weightstest.Fla(v7), "norm_eps", -1e-5), 0, 0, `config.json: norm_eps: want a number above 0, at most 1, got "-0.00001"`},
		"zero":                     {config(weightstest.Fla(v7), "norm_eps", 0), 0, 0, "config.json: norm_eps: want a number above 0"},
		"beyond float32":           {config(weightstest.Fla(v7), "norm_eps", 1e-50), 0, 0, "config.json: norm_eps: want a number above 0"},
		"text":                     {config(weightstest.Fla(v7), "norm_eps", "small"), 0, 0, `norm_eps: want a number above 0, at most 1, got "small"`},
		"infinite":                 {gguf("rwkv7.attention.layer_norm_epsilon", float32(2)), 0, 0, `m.gguf: rwkv7.attention.layer_norm_epsilon: want a number above 0, at most 1, got "2"`},
		"not a number":             {annotated(v7, map[string]string{"norm_eps": "NaN"}), 0, 0, `m.safetensors: norm_eps: want a number above 0`},
	} {
		m, err := openMade(t, c.write(t))
		if c.err != "" || err != nil {
			if c.err == "" || err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: want %q, got %v", name, c.err, err)
			}
			continue
		}
		norm, group := epsilons(m)
		if len(norm) != 1 || !norm[c.norm] || len(group) != 1 || !group[c.group] || m.NormEps != c.norm || m.GroupNormEps != c.group {
			t.Errorf("%s: want %v and %v, got %v and %v in ops of %v and %v", name, c.norm, c.group, m.NormEps, m.GroupNormEps, norm, group)
		}
	}
}
