package weights_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// ggufChange is a sound GGUF file after one change, and what the error must say.
type ggufChange struct {
	name     string
	change   func(*weightstest.GGUFHeader)
	fragment string
}

// soundGGUF has metadata of every shape, and three tensors: F16[2 4] in 32 bytes with padding, Q8_0[2 32], F32[3].
func soundGGUF() (weightstest.GGUFHeader, []byte) {
	return weightstest.GGUFParts([]weightstest.KV{
		{Key: "general.architecture", Value: "rwkv7"}, {Key: "general.alignment", Value: uint32(32)},
		{Key: "tokenizer.ggml.model", Value: "rwkv"}, {Key: "tokenizer.ggml.tokens", Value: []string{"<s>", `\x00`}},
		{Key: "tokenizer.ggml.token_type", Value: []int32{3, 1}},
	}, []*tensor.Tensor{
		tensor.FromBytes("token_embd.weight", tensor.F16, []int{2, 4}, make([]byte, 16)),
		weightstest.Blocks("blk.0.time_mix_key.weight", tensor.Q8_0, 1, 2, 32), zeros("output_norm.weight", 3),
	})
}

func (c ggufChange) file() []byte {
	h, body := soundGGUF()
	c.change(&h)
	return weightstest.GGUFFile(h, body)
}

// meta changes the value of the sound file's key at that place.
func meta(name string, place int, value any, fragment string) ggufChange {
	return ggufChange{name, func(h *weightstest.GGUFHeader) { h.Meta[place].Value = value }, fragment}
}

// addedKey appends a key to the sound file.
func addedKey(name, key string, value any, fragment string) ggufChange {
	return ggufChange{name, func(h *weightstest.GGUFHeader) {
		h.Meta, h.Keys = append(h.Meta, weightstest.KV{Key: key, Value: value}), h.Keys+1
	}, fragment}
}

// changedEntry changes one of the sound file's tensors.
func changedEntry(name string, place int, change func(*weightstest.GGUFEntry), fragment string) ggufChange {
	return ggufChange{name, func(h *weightstest.GGUFHeader) { change(&h.Entries[place]) }, fragment}
}

func dims(d ...uint64) func(*weightstest.GGUFEntry) {
	return func(e *weightstest.GGUFEntry) { e.Dims = d }
}

func at(offset uint64) func(*weightstest.GGUFEntry) {
	return func(e *weightstest.GGUFEntry) { e.Offset = offset }
}

// rawValue is a metadata value of any kind whose bytes are numbers of 8 bytes, after an array's 4 bytes of element
// kind.
func rawValue(kind uint32, element int, words ...uint64) weightstest.Raw {
	var data []byte
	if element >= 0 {
		data = binary.LittleEndian.AppendUint32(data, uint32(element))
	}
	for _, w := range words {
		data = binary.LittleEndian.AppendUint64(data, w)
	}
	return weightstest.Raw{Kind: kind, Data: data}
}

var brokenGGUFMeta = []ggufChange{
	{"version 0", func(h *weightstest.GGUFHeader) { h.Version = 0 }, "version: want 2 or 3, got 0"},
	{"version 1", func(h *weightstest.GGUFHeader) { h.Version = 1 }, "version: want 2 or 3, got 1"},
	{"version 4", func(h *weightstest.GGUFHeader) { h.Version = 4 }, "version: want 2 or 3, got 4"},
	{"big-endian", func(h *weightstest.GGUFHeader) { h.Version = 3 << 24 }, "version: want a little-endian file, got version 3 in big-endian"},
	{"2^64-1 tensors", func(h *weightstest.GGUFHeader) { h.Tensors = math.MaxUint64 }, "tensor count: want at most 32768, got 18446744073709551615"},
	{"2^63 keys", func(h *weightstest.GGUFHeader) { h.Keys = 1 << 63 }, "metadata count: want at most 16384, got 9223372036854775808"},
	{"a tensor too many", func(h *weightstest.GGUFHeader) { h.Tensors++ }, "tensor name: want "},
	{"a key too many", func(h *weightstest.GGUFHeader) { h.Keys++ }, "tensor name: want "},
	{"a key too few", func(h *weightstest.GGUFHeader) { h.Keys-- }, "tensor tokenizer.ggml.token_type: dimensions: want 1 to 4, got 9"},
	{"key twice", func(h *weightstest.GGUFHeader) { h.Meta[1] = h.Meta[0] }, "general.architecture: want the key once, got it twice"},
	{"empty key", func(h *weightstest.GGUFHeader) { h.Meta[1].Key = "" }, "metadata key: want 1 to 256 bytes, got 0"},
	{"long key", func(h *weightstest.GGUFHeader) { h.Meta[1].Key = strings.Repeat("k", 257) }, "metadata key: want 1 to 256 bytes, got 257"},
	{"key that is no UTF-8", func(h *weightstest.GGUFHeader) { h.Meta[1].Key = "a\xff\n" }, "metadata key: want UTF-8"},
	{"no architecture", func(h *weightstest.GGUFHeader) { h.Meta[0].Key = "general.arch" }, "general.architecture: want a string, got none"},
	meta("architecture is a number", 0, uint32(7), "general.architecture: want a string, got uint32"),
	meta("llama", 0, "llama", `general.architecture: want rwkv6 or rwkv7, got "llama"`),
	meta("arwkv7", 0, "arwkv7", "general.architecture: want rwkv6 or rwkv7, got arwkv7, a v7 inside Qwen"),
	meta("rwkv6qwen2", 0, "rwkv6qwen2", "general.architecture: want rwkv6 or rwkv7, got rwkv6qwen2, a v6 inside Qwen"),
	meta("long architecture", 0, strings.Repeat("a\n", 1<<19), `general.architecture: want rwkv6 or rwkv7, got "a\n`),
	meta("alignment 0", 1, uint32(0), "general.alignment: want a uint32 that is a power of two, at most 1048576, got 0 (uint32)"),
	meta("alignment 24", 1, uint32(24), "general.alignment: want a uint32 that is a power of two, at most 1048576, got 24 (uint32)"),
	meta("alignment 2^31", 1, uint32(1<<31), "general.alignment: want a uint32 that is a power of two"),
	meta("alignment of 8 bytes", 1, uint64(32), "got 32 (uint64)"),
	meta("alignment is text", 1, "32", "got 32 (string)"),
	meta("kind 13", 1, rawValue(13, -1, 0), "general.alignment: want a known type of value (0 to 12), got 13"),
	meta("kind 2^32-1", 1, rawValue(math.MaxUint32, -1, 0), "want a known type of value"),
	meta("string past the end", 0, rawValue(8, -1, 1<<40), "general.architecture: want 1099511627776 bytes at byte "),
	meta("string of 2^64-1 bytes", 0, rawValue(8, -1, math.MaxUint64), "want 18446744073709551615 bytes"),
	meta("array past the end", 3, rawValue(9, 5, 1<<40), "tokenizer.ggml.tokens: want an array that fits the "),
	meta("array whose size wraps", 3, rawValue(9, 12, 1<<61+1), "got 2305843009213693953 of float64 (truncated file?)"),
	meta("array of 2^64-1 strings", 3, rawValue(9, 8, math.MaxUint64), "got 18446744073709551615 of string"),
	meta("array of arrays", 3, rawValue(9, 9, 1, 8, 1), "tokenizer.ggml.tokens: want an array of numbers or strings, got an array of array"),
	meta("array of kind 99", 3, rawValue(9, 99, 1), "got an array of kind 99"),
	meta("string in an array past the end", 3, rawValue(9, 8, 2, 0, 1<<50), "tokenizer.ggml.tokens: want 1125899906842624 bytes"),
	addedKey("bool of 2", "x", weightstest.Raw{Kind: 7, Data: []byte{2}}, "x: want a bool of 0 or 1, got 2"),
	addedKey("split", "split.count", uint16(3), "split.count: want a model in one file, got one of 3"),
	addedKey("rescaling backwards", "rwkv6.rescale_every_n_layers", int32(-6), "rwkv6.rescale_every_n_layers: want a number of layers, got -6"),
	addedKey("rescaling by text", "rwkv6.rescale_every_n_layers", "6", "rwkv6.rescale_every_n_layers: want a number of layers, got 6"),
	{"no tokens", func(h *weightstest.GGUFHeader) { h.Meta[3].Key = "x" }, "tokenizer.ggml.tokens: want an array of strings, got none"},
	meta("tokens are numbers", 3, []int32{1, 2}, "tokenizer.ggml.tokens: want an array of strings, got (2 of int32)"),
	meta("a token too few", 3, []string{"a"}, "tokenizer.ggml.tokens: want 2 tokens, the rows of token_embd.weight, got 1"),
	meta("token types of text", 4, []string{"a", "b"}, "tokenizer.ggml.token_type: want (2 of int32), got (2 of string)"),
	meta("a token type too many", 4, []int32{1, 1, 1}, "tokenizer.ggml.token_type: want (2 of int32), got (3 of int32)"),
	meta("bad escape", 3, []string{"", `\xZZ`}, `tokenizer.ggml.tokens[1]: want two hexadecimal digits`),
}

var brokenGGUFTensors = []ggufChange{
	changedEntry("empty name", 0, func(e *weightstest.GGUFEntry) { e.Name = "" }, "tensor name: want 1 to 256 bytes, got 0"),
	changedEntry("long name", 0, func(e *weightstest.GGUFEntry) { e.Name = strings.Repeat("n", 257) }, "tensor name: want 1 to 256 bytes, got 257"),
	changedEntry("name twice", 2, func(e *weightstest.GGUFEntry) { e.Name = "token_embd.weight" }, "tensor token_embd.weight: header: want one entry, got the name twice"),
	changedEntry("name twice but for a prefix", 2, func(e *weightstest.GGUFEntry) { e.Name = "_orig_mod.token_embd.weight" }, "name: want one tensor for token_embd.weight"),
	changedEntry("original name twice", 2, func(e *weightstest.GGUFEntry) { e.Name = "emb.weight" }, "want one tensor for emb.weight"),
	changedEntry("no dimensions", 0, dims(), "tensor token_embd.weight: dimensions: want 1 to 4, got 0"),
	changedEntry("five dimensions", 0, dims(4, 2, 1, 1, 1), "tensor token_embd.weight: dimensions: want 1 to 4, got 5"),
	changedEntry("dimension 0", 0, dims(4, 0), "tensor token_embd.weight: shape: want no dimension of 0, got [0 4]"),
	changedEntry("2^64-1 elements", 0, dims(math.MaxUint64), "shape: want a tensor that fits in memory"),
	changedEntry("-1", 0, dims(4, math.MaxUint64), "shape: want a tensor that fits in memory"),
	changedEntry("elements wrap to 4", 0, dims(1<<31, 1<<31, 4), "shape: want a tensor that fits in memory"),
	changedEntry("bytes wrap", 0, dims(1<<62, 2), "shape: want a tensor that fits in memory"),
	changedEntry("half a block", 1, dims(16, 4), "shape: want rows of whole Q8_0 blocks (32 elements), got [4 16]"),
	{"nothing but types that are not read", func(h *weightstest.GGUFHeader) {
		h.Entries[0].Type, h.Entries[1].Type, h.Entries[2].Type = 10, 39, math.MaxUint32
	}, "tensor token_embd.weight: dtype: want one of F32, F16, BF16, Q4_0, "},
	changedEntry("a type that is not read, far past the end", 2, func(e *weightstest.GGUFEntry) { e.Type, e.Offset = 10, 1<<40 },
		"tensor output_norm.weight: offset: want an end within the 160 bytes of data, got Q2_K (10)[] at"),
	changedEntry("a type that is not read, in another tensor", 2, func(e *weightstest.GGUFEntry) { e.Type, e.Offset = 10, 64 }, "(they overlap)"),
	changedEntry("unaligned", 2, at(129), "tensor output_norm.weight: offset: want a multiple of 32, got 129"),
	changedEntry("past the end", 2, at(160), "tensor output_norm.weight: offset: want an end within the "),
	changedEntry("far past the end", 2, at(math.MaxUint64-31), "offset: want a place within the file, got 18446744073709551584"),
	changedEntry("offset that wraps", 2, at(math.MaxInt64-31), "offset: want "),
	changedEntry("larger than the file", 0, dims(4, 1000), "tensor token_embd.weight: offset: want an end within the "),
	changedEntry("same place", 2, at(0), "tensor token_embd.weight: offset: want at least 12, where output_norm.weight ends, got 0 (they overlap)"),
	changedEntry("overlap", 2, at(64), "tensor output_norm.weight: offset: want at least 100, where blk.0.time_mix_key.weight ends, got 64 (they overlap)"),
	changedEntry("r_k without head size", 2, func(e *weightstest.GGUFEntry) { e.Name = "blk.0.time_mix_r_k.weight" }, "tensor blk.0.time_mix_r_k.weight: rwkv7.wkv.head_size: want a head size that divides the tensor's length 3"),
	changedEntry("mixes of another number", 2, func(e *weightstest.GGUFEntry) { e.Name = "blk.0.time_mix_lerp_fused.weight" }, "tensor blk.0.time_mix_lerp_fused.weight: shape: want [6 ... C]"),
	changedEntry("mixes in blocks", 1, func(e *weightstest.GGUFEntry) { e.Name = "blk.0.time_mix_lerp_fused.weight" }, "shape: want [6 ... C], a row for each of r w k v a g, got Q8_0[2 32]"),
}

func TestGGUFBroken(t *testing.T) {
	h, body := soundGGUF()
	if _, err := weights.Parse("sound", weightstest.GGUFFile(h, body)); err != nil {
		t.Fatal("the file that is varied is broken itself:", err)
	}
	for _, c := range slices.Concat(brokenGGUFMeta, brokenGGUFTensors) {
		most := uint64(1)
		if c.name == "long architecture" {
			most = 4
		}
		t.Run(c.name, func(t *testing.T) { broken{c.name, c.file(), c.fragment}.check(t, most) })
	}
}

// Tensors of types that are not read are known by name and type, in the layout's own names and fused ones too; whoever
// wants one learns what can be read.
func TestGGUFUnread(t *testing.T) {
	for _, c := range []struct {
		number    uint32
		typ, list string
	}{{4, "Q4_2 (4)", "token_embd"}, {10, "Q2_K (10)", "token_embd"}, {23, "IQ4_XS (23)", "blk.0"}, {26, "I32 (26)", "output_norm"}, {math.MaxUint32, "(4294967295)", "blk.0"}} {
		h, body := soundGGUF()
		var names []string
		for i := range h.Entries {
			if e := &h.Entries[i]; strings.HasPrefix(e.Name, c.list) {
				e.Type, e.Dims = c.number, dims256
				names = append(names, e.Name)
			}
		}
		f, err := weights.Parse("made.gguf", weightstest.GGUFFile(h, body))
		if err != nil || len(f.Unread) != len(names) || len(f.Tensors) != 3-len(names) || f.Layout != "llama.cpp" {
			t.Errorf("%s: want %v unread, got %+v (%v)", c.typ, names, f, err)
			continue
		}
		for name, typ := range f.Unread {
			_, err := f.Tensor(name)
			if typ != c.typ {
				t.Errorf("want type %s, got %s", c.typ, typ)
			}
			wantError(t, err, "made.gguf: tensor "+name+": dtype: want one of F32, F16, BF16, Q4_0, ")
		}
	}
	h, body := soundGGUF()
	h.Entries[2].Name, h.Entries[2].Type = "blk.0.time_mix_lerp_fused.weight", 10
	f, err := weights.Parse("made.gguf", weightstest.GGUFFile(h, body))
	if err != nil || len(f.Unread) != 6 || f.Unread["blocks.0.att.x_g"] != "Q2_K (10)" {
		t.Errorf("want six mixes unread, got %v (%v)", f.Unread, err)
	}
}

// dims256 is a shape of no meaning for what cannot be read.
var dims256 = []uint64{256}

// A GGUF file cut anywhere is refused.
func TestGGUFTruncated(t *testing.T) {
	h, body := soundGGUF()
	data := weightstest.GGUFFile(h, body)
	for cut := range len(data) - 20 { // the rest is padding of the last tensor
		_, err := weights.Parse("cut.gguf", data[:cut])
		if err == nil {
			t.Fatalf("a file cut at %d of %d opened", cut, len(data))
		}
		wantError(t, err, "cut.gguf: ")
	}
}

// Files that try to cost memory.
func TestGGUFBrokenHuge(t *testing.T) {
	reference.Sequential(t)
	file := func(meta []weightstest.KV, entries int) []byte {
		h := weightstest.GGUFHeader{Version: 3, Keys: uint64(len(meta) + 1), Meta: append([]weightstest.KV{{Key: "general.architecture", Value: "rwkv7"}}, meta...)}
		for i := range entries {
			name := strings.Repeat("n", 250) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26)) + string(rune('a'+i/17576))
			h.Entries = append(h.Entries, weightstest.GGUFEntry{Name: name, Dims: []uint64{1, 1, 1, 1}, Offset: uint64(32 * i)})
		}
		h.Tensors = uint64(entries)
		return weightstest.GGUFFile(h, make([]byte, max(0, 32*entries-32+3)))
	}
	keys := make([]weightstest.KV, 1<<14-1)
	for i := range keys {
		keys[i] = weightstest.KV{Key: strings.Repeat("k", 250) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676)), Value: strings.Repeat("v", 1000)}
	}
	tokens := func(n int, text string) []weightstest.KV {
		list := slices.Repeat([]string{text}, n)
		return []weightstest.KV{{Key: "tokenizer.ggml.model", Value: "rwkv"}, {Key: "tokenizer.ggml.tokens", Value: list}}
	}
	full := file(keys, 1)
	bad := append(tokens(1<<20-1, "a"), weightstest.KV{Key: "rwkv6.rescale_every_n_layers", Value: uint32(1)})
	bad[1].Value = append(bad[1].Value.([]string), `\x`)
	for _, c := range []struct {
		name     string
		data     []byte
		fragment string
	}{
		{"32 768 tensors, one byte short", file(nil, 1<<15), "offset: want an end within"},
		{"16 MiB of keys and values, a tensor short", full[:len(full)-1], "offset: want an end within"},
		{"a string of 16 MiB for an architecture", file([]weightstest.KV{{Key: "split.count", Value: strings.Repeat("a", 16<<20)}}, 0), "split.count: want a model in one file"},
		{"2^20 + 1 tokens", file(tokens(1<<20+1, ""), 0), "tokens: want at most 1048576 tokens"},
		{"17 MiB of tokens", file(tokens(17, strings.Repeat("a", 1<<20)), 0), "in 16777216 bytes"},
		{"2^20 tokens, the last one bad", file(bad, 0), "tokens[1048575]: want two hexadecimal digits"},
	} {
		t.Run(c.name, func(t *testing.T) { broken{c.name, c.data, c.fragment}.check(t, 60) })
	}
}

// FuzzGGUF reads any bytes behind the magic of a GGUF file.
func FuzzGGUF(f *testing.F) {
	h, body := soundGGUF()
	f.Add(weightstest.GGUFFile(h, body)[4:])
	f.Add(weightstest.GGUF(weightstest.LlamaMeta(small), weightstest.Llama(weightstest.RWKV7(small, tensor.F16, 1)))[4:])
	for _, c := range slices.Concat(brokenGGUFMeta, brokenGGUFTensors) {
		if data := c.file(); len(data) < 4096 {
			f.Add(data[4:])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		survivesWithin(t, append([]byte("GGUF"), data...), 8) // a transposed block takes up to 8 times its size as F32
	})
}
