package weightstest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// KV is an entry of a GGUF file's metadata. Value is a string, bool, uint8, int8, uint16, int16, uint32, int32,
// float32, uint64, int64, float64, []string, []int32, []float32, or Raw.
type KV struct {
	Key   string
	Value any
}

// Raw is the bytes of a GGUF value of any kind, right or wrong.
type Raw struct {
	Kind uint32
	Data []byte
}

// GGUFHeader is what a GGUF file says before its data; each field is written as it is, right or wrong.
type GGUFHeader struct {
	Version       uint32
	Tensors, Keys uint64
	Meta          []KV
	Entries       []GGUFEntry
	Align         int // of the body, 32 if 0
}

// GGUFEntry describes a tensor; Dims come fastest first.
type GGUFEntry struct {
	Name   string
	Dims   []uint64
	Type   uint32
	Offset uint64
}

// GGUF returns a version 3 file with the metadata and tensors in the order given. It panics if a tensor does not load.
func GGUF(meta []KV, tensors []*tensor.Tensor) []byte {
	h, body := GGUFParts(meta, tensors)
	return GGUFFile(h, body)
}

// GGUFParts returns the header and data of a sound file, for tests to change.
func GGUFParts(meta []KV, tensors []*tensor.Tensor) (h GGUFHeader, body []byte) {
	h = GGUFHeader{Version: 3, Tensors: uint64(len(tensors)), Keys: uint64(len(meta)), Meta: meta, Align: 32}
	for _, kv := range meta {
		if n, ok := kv.Value.(uint32); ok && kv.Key == "general.alignment" {
			h.Align = int(n)
		}
	}
	for _, t := range tensors {
		data, err := t.Load()
		if err != nil {
			panic("weightstest: " + err.Error())
		}
		e := GGUFEntry{Name: t.Name, Type: GGUFType(t.Type), Offset: uint64(len(body))}
		for i := range t.Shape {
			e.Dims = append(e.Dims, uint64(t.Shape[len(t.Shape)-1-i]))
		}
		h.Entries = append(h.Entries, e)
		body = append(body, data...)
		body = append(body, make([]byte, -len(body)&(h.Align-1))...)
	}
	return h, body
}

// GGUFType returns ggml's number of a type.
func GGUFType(t tensor.Type) uint32 {
	return map[tensor.Type]uint32{
		tensor.F32: 0, tensor.F16: 1, tensor.Q4_0: 2, tensor.Q4_1: 3, tensor.Q5_0: 6, tensor.Q5_1: 7, tensor.Q8_0: 8, tensor.Q3_K: 11,
		tensor.Q4_K: 12, tensor.Q5_K: 13, tensor.Q6_K: 14, tensor.IQ4_NL: 20, tensor.BF16: 30,
	}[t]
}

// GGUFFile returns the bytes of a file, padded to h.Align between header and body.
func GGUFFile(h GGUFHeader, body []byte) []byte {
	le := binary.LittleEndian
	out := le.AppendUint32([]byte("GGUF"), h.Version)
	out = le.AppendUint64(out, h.Tensors)
	out = le.AppendUint64(out, h.Keys)
	for _, kv := range h.Meta {
		out = appendValue(appendString(out, kv.Key), kv.Value)
	}
	for _, e := range h.Entries {
		out = le.AppendUint32(appendString(out, e.Name), uint32(len(e.Dims)))
		for _, d := range e.Dims {
			out = le.AppendUint64(out, d)
		}
		out = le.AppendUint64(le.AppendUint32(out, e.Type), e.Offset)
	}
	align := h.Align
	if align == 0 {
		align = 32
	}
	out = append(out, make([]byte, -len(out)&(align-1))...)
	return append(out, body...)
}

func appendString(out []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(out, uint64(len(s))), s...)
}

// appendValue appends the kind and bytes of a value.
func appendValue(out []byte, value any) []byte {
	le := binary.LittleEndian
	array := func(kind uint32, n int) []byte {
		return le.AppendUint64(le.AppendUint32(le.AppendUint32(out, 9), kind), uint64(n))
	}
	switch v := value.(type) {
	case Raw:
		return append(le.AppendUint32(out, v.Kind), v.Data...)
	case string:
		return appendString(le.AppendUint32(out, 8), v)
	case []string:
		out = array(8, len(v))
		for _, s := range v {
			out = appendString(out, s)
		}
		return out
	case []int32:
		out = array(5, len(v))
	case []float32:
		out = array(6, len(v))
	case uint8, int8, uint16, int16, uint32, int32, float32, bool, uint64, int64, float64:
		kinds := map[string]uint32{"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "float32": 6, "bool": 7,
			"uint64": 10, "int64": 11, "float64": 12}
		out = le.AppendUint32(out, kinds[fmt.Sprintf("%T", v)])
	default:
		panic(fmt.Sprintf("weightstest: no GGUF value of type %T", v))
	}
	out, err := binary.Append(out, le, value)
	if err != nil {
		panic("weightstest: " + err.Error())
	}
	return out
}

// LlamaMeta is the metadata that llama.cpp's converter writes for a v7 model of that size, with a World tokenizer of
// the single bytes if the vocabulary is large enough.
func LlamaMeta(s Size) []KV {
	meta := []KV{
		{"general.architecture", "rwkv7"}, {"general.name", "synthetic"},
		{"rwkv7.context_length", uint32(1 << 20)}, {"rwkv7.embedding_length", uint32(s.Embed)}, {"rwkv7.block_count", uint32(s.Layers)},
		{"rwkv7.attention.layer_norm_epsilon", float32(1e-5)}, {"rwkv7.wkv.head_size", uint32(s.Head)},
		{"rwkv7.feed_forward_length", uint32(s.FFN)}, {"rwkv7.attention.head_count", uint32(0)},
		{"tokenizer.ggml.model", "rwkv"},
	}
	tokens, types := []string{"<s>"}, []int32{3}
	for id := 1; id < s.Vocab; id++ {
		if id <= 256 {
			tokens, types = append(tokens, fmt.Sprintf(`\x%02x`, id-1)), append(types, 1)
		} else {
			tokens, types = append(tokens, fmt.Sprintf("[PAD%d]", id)), append(types, 5)
		}
	}
	return append(meta, KV{"tokenizer.ggml.tokens", tokens}, KV{"tokenizer.ggml.token_type", types})
}

// Llama returns RWKV-7 tensors as llama.cpp's converter names and turns them.
func Llama(tensors []*tensor.Tensor) (out []*tensor.Tensor) {
	named := map[string]string{
		"emb.weight": "token_embd.weight", "head.weight": "output.weight", "ln_out": "output_norm", "blocks.0.ln0": "token_embd_norm",
		"ln1": "attn_norm", "ln2": "attn_norm_2", "att.ln_x": "time_mix_ln", "ffn.x_k": "channel_mix_lerp_k.weight",
		"att.receptance": "time_mix_receptance", "att.key": "time_mix_key", "att.value": "time_mix_value", "att.output": "time_mix_output",
		"ffn.key": "channel_mix_key", "ffn.value": "channel_mix_value",
	}
	var mixes []*tensor.Tensor
	for _, t := range tensors {
		layer, part, inLayer := layerOf(t.Name)
		switch {
		case strings.HasPrefix(part, "att.x_"): // in the order r w k v a g
			if mixes = append(mixes, t); len(mixes) == 6 {
				out = append(out, fuse("blk."+layer+".time_mix_lerp_fused.weight", mixes))
				mixes = nil
			}
			continue
		case inLayer && len(part) == 6 && strings.HasPrefix(part, "att.") && strings.Contains("12", part[5:]):
			t = t.Transposed()
			part = "time_mix_" + part[4:] + ".weight"
		case inLayer && (len(part) == 6 || len(part) == 7) && strings.HasPrefix(part, "att."): // w0 k_k r_k
			t = t.Reshaped(t.Len())
			part = "time_mix_" + part[4:] + ".weight"
		default:
			part = renamed(named, part)
		}
		name := part
		if inLayer && !strings.HasPrefix(part, "token_embd_norm") {
			name = "blk." + layer + "." + part
		}
		out = append(out, rename(t, name))
	}
	return out
}

// fuse joins vectors [1, 1, C] as [n, 1, 1, C].
func fuse(name string, mixes []*tensor.Tensor) *tensor.Tensor {
	var data []byte
	for _, m := range mixes {
		b, err := m.Load()
		if err != nil {
			panic("weightstest: " + err.Error())
		}
		data = append(data, b...)
	}
	return tensor.FromBytes(name, mixes[0].Type, []int{len(mixes), 1, 1, mixes[0].Len()}, data)
}

// layerOf splits blocks.N.PART; blocks.0.ln0 belongs to no layer elsewhere and keeps its name as the part.
func layerOf(name string) (layer, part string, ok bool) {
	rest, ok := strings.CutPrefix(name, "blocks.")
	if !ok {
		return "", name, false
	}
	layer, part, _ = strings.Cut(rest, ".")
	if strings.HasPrefix(part, "ln0") {
		return "", name, false
	}
	return layer, part, true
}

// renamed looks a name up whole, then without its last part.
func renamed(names map[string]string, name string) string {
	if n, ok := names[name]; ok {
		return n
	}
	dot := strings.LastIndexByte(name, '.')
	n, ok := names[name[:max(dot, 0)]]
	if !ok {
		panic("weightstest: no other name for " + name)
	}
	return n + name[dot:]
}

func rename(t *tensor.Tensor, name string) *tensor.Tensor {
	return tensor.New(name, t.Type, t.Shape, t.Load)
}

// Blocks returns a tensor of a block type from seeded noise, with sound scales.
func Blocks(name string, typ tensor.Type, seed uint32, shape ...int) *tensor.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	data := make([]byte, typ.Bytes(n))
	for i := range data { // a linear congruence is noise enough; bit 6 clear keeps every half finite
		seed = seed*1664525 + 1013904223
		data[i] = byte(seed>>24) &^ 0x40
	}
	if typ.CheckFinite(data) >= 0 {
		panic("weightstest: blocks that are not finite")
	}
	return tensor.FromBytes(name, typ, shape, data)
}
