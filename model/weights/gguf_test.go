package weights_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A v7 model reads the same from GGUF as from safetensors, for random sizes, types, alignments and both versions.
func TestGGUFEqualsOriginal(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	for i := range 60 {
		rank := func() int { return 1 + rng.IntN(40) }
		s := weightstest.Size{Vocab: 1 + rng.IntN(300), Layers: 1 + rng.IntN(3), Head: 8, FFN: 1 + rng.IntN(70), W: rank(), A: rank(), V: rank(), G: rank()}
		s.Embed = s.Head * (1 + rng.IntN(4))
		original := weightstest.RWKV7(s, tensor.Types[i%3], rng.Uint64())
		meta := weightstest.LlamaMeta(s)
		if i%2 == 0 {
			meta = append(meta, weightstest.KV{Key: "general.alignment", Value: uint32(1 << rng.IntN(10))})
		}
		h, body := weightstest.GGUFParts(meta, weightstest.Llama(original))
		h.Version = 2 + uint32(i%2)
		a, b := parse(t, weightstest.Safetensors(original, nil)), parse(t, weightstest.GGUFFile(h, body))
		if b.Layout != "llama.cpp" || b.Format != "GGUF" || b.RescaleEvery != 0 || b.EmbeddingNormed {
			t.Fatalf("%+v: %s %s (%s)", s, b.Format, b.Layout, b.Evidence)
		}

		sameTensors(t, a, b)
		if len(b.Vocab) != s.Vocab || b.Vocab[0] != nil || s.Vocab > 1 && !bytes.Equal(b.Vocab[1], []byte{0}) {
			t.Fatalf("%d tokens of %d: %q", len(b.Vocab), s.Vocab, b.Vocab)
		}
	}
}

// The copies of a0 a1 a2 that llama.cpp's converter puts into layer 0 are left out.
func TestGGUFDummies(t *testing.T) {
	original := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	a := parse(t, weightstest.Safetensors(original, nil))
	llama := weightstest.Llama(original)
	c := weightstest.Tiny.Embed
	llama = append(llama, zeros("blk.0.time_mix_v0.weight", c), zeros("blk.0.time_mix_v1.weight", 12, c), zeros("blk.0.time_mix_v2.weight", c, 12))
	sameTensors(t, a, parse(t, weightstest.GGUF(weightstest.LlamaMeta(weightstest.Tiny), llama)))
}

// numbered returns an F32 tensor whose elements count up from start.
func numbered(name string, start int, shape ...int) *tensor.Tensor {
	x := zeros(name, shape...)
	f := make([]float32, x.Len())
	for i := range f {
		f[i] = float32(start + i)
	}
	return tensor.FromFloats(name, shape, f)
}

// A v6 file gets the original names, orientation and shapes; the mixes come apart in the order w k v r g.
func TestGGUFVersion6(t *testing.T) {
	const c, r, d, n = 6, 2, 4, 3
	meta := []weightstest.KV{
		{Key: "general.architecture", Value: "rwkv6"}, {Key: "rwkv6.wkv.head_size", Value: uint32(n)}, {Key: "rwkv6.rescale_every_n_layers", Value: uint32(6)},
	}
	f := parse(t, weightstest.GGUF(meta, []*tensor.Tensor{
		zeros("token_embd.weight", 9, c), zeros("token_embd_norm.bias", c), zeros("output.weight", 9, c), zeros("output_norm.weight", c),
		numbered("blk.0.time_mix_lerp_fused.weight", 0, 5, 1, 1, c), zeros("blk.0.time_mix_lerp_x.weight", 1, 1, c),
		numbered("blk.0.time_mix_w1.weight", 0, 5*r, c), numbered("blk.0.time_mix_w2.weight", 0, 5, c, r),
		zeros("blk.0.time_mix_decay.weight", c), numbered("blk.0.time_mix_decay_w1.weight", 0, d, c), zeros("blk.0.time_mix_decay_w2.weight", c, d),
		zeros("blk.0.time_mix_first.weight", c/n, n), zeros("blk.0.time_mix_gate.weight", c, c), zeros("blk.0.time_mix_ln.bias", c),
		zeros("blk.0.channel_mix_lerp_k.weight", c), zeros("blk.0.channel_mix_lerp_r.weight", c), zeros("blk.0.channel_mix_receptance.weight", c, c),
		zeros("blk.0.attn_norm_2.weight", c), zeros("blk.0.unheard_of.weight", c),
		zeros("blk.1.time_mix_lerp_w.weight", c), zeros("blk.1.time_mix_lerp_g.weight", c), // as before the mixes were fused
	}))
	want := map[string][]int{
		"emb.weight": {9, c}, "blocks.0.ln0.bias": {c}, "head.weight": {9, c}, "ln_out.weight": {c}, "blocks.0.att.time_maa_x": {c},
		"blocks.0.att.time_maa_w": {c}, "blocks.0.att.time_maa_k": {c}, "blocks.0.att.time_maa_v": {c}, "blocks.0.att.time_maa_r": {c}, "blocks.0.att.time_maa_g": {c},
		"blocks.0.att.time_maa_w1": {c, 5 * r}, "blocks.0.att.time_maa_w2": {5, r, c}, "blocks.0.att.time_decay": {c},
		"blocks.0.att.time_decay_w1": {c, d}, "blocks.0.att.time_decay_w2": {d, c}, "blocks.0.att.time_faaaa": {c / n, n},
		"blocks.0.att.gate.weight": {c, c}, "blocks.0.att.ln_x.bias": {c}, "blocks.0.ffn.time_maa_k": {c}, "blocks.0.ffn.time_maa_r": {c},
		"blocks.0.ffn.receptance.weight": {c, c}, "blocks.0.ln2.weight": {c}, "blk.0.unheard_of.weight": {c},
		"blocks.1.att.time_maa_w": {c}, "blocks.1.att.time_maa_g": {c},
	}
	for name, shape := range want {
		if x, err := f.Tensor(name); err != nil || !slices.Equal(x.Shape, shape) {
			t.Errorf("want %s %v, got %v (%v)", name, shape, x, err)
		}
	}
	if len(f.Tensors) != len(want) || f.RescaleEvery != 6 || f.Vocab != nil {
		t.Errorf("%d tensors, want %d; rescale %d; vocabulary %q", len(f.Tensors), len(want), f.RescaleEvery, f.Vocab)
	}
	for name, first := range map[string][]float32{
		"blocks.0.att.time_maa_w": {0, 1}, "blocks.0.att.time_maa_k": {6, 7}, "blocks.0.att.time_maa_v": {12}, "blocks.0.att.time_maa_r": {18}, "blocks.0.att.time_maa_g": {24},
		"blocks.0.att.time_maa_w1": {0, c, 2 * c}, "blocks.0.att.time_maa_w2": {0, r, 2 * r, 3 * r}, "blocks.0.att.time_decay_w1": {0, c},
	} {
		got, err := f.Tensors[name].Floats()
		if err != nil || !slices.Equal(got[:len(first)], first) {
			t.Errorf("%s: want %v…, got %v (%v)", name, first, got, err)
		}
	}
}

// Blocks stay as they are stored, but for a low-rank matrix, whose columns are no blocks.
func TestGGUFBlocks(t *testing.T) {
	for i, typ := range tensor.BlockTypes {
		n, _ := typ.Block()
		key := weightstest.Blocks("blk.0.time_mix_key.weight", typ, uint32(i), 5, 2*n)
		low := weightstest.Blocks("blk.0.time_mix_w1.weight", typ, uint32(i), 3, 2*n)
		meta := []weightstest.KV{{Key: "general.architecture", Value: "rwkv7"}}
		f := parse(t, weightstest.GGUF(meta, []*tensor.Tensor{zeros("token_embd.weight", 2, 4), key, low}))
		want, _ := key.Load()
		x := f.Tensors["blocks.0.att.key.weight"]
		if x.Type != typ || !slices.Equal(x.Shape, key.Shape) || !bytes.Equal(load(t, f, x.Name), want) {
			t.Errorf("%s became %s, or other bytes", key, x)
		}
		w1 := f.Tensors["blocks.0.att.w1"]
		if w1.Type != tensor.F32 || !slices.Equal(w1.Shape, []int{2 * n, 3}) || !slices.Equal(floats(t, w1), floats(t, low.Transposed())) {
			t.Errorf("%s became %s, or other numbers", low, w1)
		}
	}
}

// Every kind of value reaches Meta as text.
func TestGGUFMeta(t *testing.T) {
	f := parse(t, weightstest.GGUF([]weightstest.KV{
		{Key: "general.architecture", Value: "rwkv7"}, {Key: "a", Value: uint8(200)}, {Key: "b", Value: int8(-5)}, {Key: "c", Value: uint16(65535)}, {Key: "d", Value: int16(-300)},
		{Key: "e", Value: uint32(1 << 31)}, {Key: "f", Value: int32(-1)}, {Key: "g", Value: float32(1e-5)}, {Key: "h", Value: true}, {Key: "i", Value: false},
		{Key: "j", Value: uint64(1<<64 - 1)}, {Key: "k", Value: int64(-1 << 63)}, {Key: "l", Value: 0.25}, {Key: "m", Value: "a\nb"}, {Key: "n", Value: []string{"x", ""}},
		{Key: "o", Value: []int32{1, 2, 3}}, {Key: "p", Value: "\xff"}, {Key: "q", Value: []float32{}},
	}, nil))
	for key, want := range map[string]string{
		"a": "200", "b": "-5", "c": "65535", "d": "-300", "e": "2147483648", "f": "-1", "g": "1e-05", "h": "true", "i": "false",
		"j": "18446744073709551615", "k": "-9223372036854775808", "l": "0.25", "m": "a\nb", "n": "(2 of string)", "o": "(3 of int32)", "p": "(1 bytes)", "q": "(0 of float32)",
	} {
		if f.Meta[key] != want {
			t.Errorf("%s: want %q, got %q", key, want, f.Meta[key])
		}
	}
}

// Token texts are the inside of Python's repr of bytes.
func TestGGUFVocabulary(t *testing.T) {
	cases := []struct {
		text  string
		kind  int32
		token string
	}{
		{"<s>", 3, ""}, {`\x00`, 1, "\x00"}, {`\xff\xFE`, 1, "\xff\xfe"}, {`a\tb\nc\rd`, 1, "a\tb\nc\rd"}, {`\\x41`, 1, `\x41`}, {`it's`, 1, "it's"},
		{`\'"`, 1, `'"`}, {" the", 1, " the"}, {"é", 1, "é"}, {"[PAD8]", 5, ""}, {`\`, 4, ""}, {`\x7`, 5, ""}, {"", 1, ""},
	}
	var texts []string
	var kinds []int32
	for _, c := range cases {
		texts, kinds = append(texts, c.text), append(kinds, c.kind)
	}
	file := func(texts []string, kinds any) []byte {
		meta := []weightstest.KV{{Key: "general.architecture", Value: "rwkv7"}, {Key: "tokenizer.ggml.model", Value: "rwkv"}, {Key: "tokenizer.ggml.tokens", Value: texts}}
		if kinds != nil {
			meta = append(meta, weightstest.KV{Key: "tokenizer.ggml.token_type", Value: kinds})
		}
		return weightstest.GGUF(meta, []*tensor.Tensor{zeros("token_embd.weight", len(texts), 1)})
	}
	f := parse(t, file(texts, kinds))
	for id, c := range cases {
		if got := f.Vocab[id]; string(got) != c.token || (got == nil) != (c.token == "") {
			t.Errorf("%q: want %q, got %q", c.text, c.token, got)
		}
	}
	for i, bad := range []string{`\`, `a\x`, `\x1`, `\xg0`, `\x0g`, `\\\`} {
		_, err := weights.Parse("m", file([]string{"<s>", bad}, []int32{3, 1}))
		wantError(t, err, "m: tokenizer.ggml.tokens[1]: want two hexadecimal digits")
		if _, err := weights.Parse("m", file([]string{bad}, nil)); err == nil {
			t.Errorf("case %d: %q is no token", i, bad)
		}
	}
	_, err := weights.Parse("m", file(texts, kinds[1:]))
	wantError(t, err, fmt.Sprintf("token_type: want (%d of int32), got (%d of int32)", len(texts), len(texts)-1))
}
