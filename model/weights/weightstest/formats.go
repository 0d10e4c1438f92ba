package weightstest

import "github.com/rwkv-gpu/rwkv-gpu/model/tensor"

// format is a kind of file with names of its own that this package writes.
type format struct {
	name  string
	holds func(typ tensor.Type) bool // nil for every type
	file  func(s Size, tensors []*tensor.Tensor) []byte
}

// layout returns what writes a safetensors file of tensors that rename turns.
func layout(rename func([]*tensor.Tensor) []*tensor.Tensor) func(Size, []*tensor.Tensor) []byte {
	return func(_ Size, tensors []*tensor.Tensor) []byte { return Safetensors(rename(tensors), nil) }
}

// transformers are those of the versions before 7.
var transformers = []format{{"Hugging Face transformers", nil, layout(Transformers)}}

// sevens are those of RWKV-7.
var sevens = []format{
	{"Hugging Face fla", nil, layout(Fla)},
	{"Hugging Face native", nil, layout(Native)},
	{"GGUF", nil, func(s Size, tensors []*tensor.Tensor) []byte { return GGUF(LlamaMeta(s), Llama(tensors)) }},
	{"web-rwkv", func(typ tensor.Type) bool { return typ == tensor.F16 }, layout(WebRWKV)},
	{"rwkv.cpp", func(typ tensor.Type) bool { return typ != tensor.BF16 }, func(s Size, tensors []*tensor.Tensor) []byte {
		return GGMF{Version: 101, Vocab: int32(s.Vocab), Embed: int32(s.Embed), Layers: int32(s.Layers)}.File(RWKVCpp(tensors)...)
	}},
}

// Formats returns a model of one of Versions, of a size and in a type, in every kind of file with names of its own that
// this package writes of that version.
func Formats(version string, s Size, typ tensor.Type, tensors []*tensor.Tensor) map[string][]byte {
	files := make(map[string][]byte)
	for _, f := range of(version).formats {
		if f.holds == nil || f.holds(typ) {
			files[f.name] = f.file(s, tensors)
		}
	}
	return files
}
