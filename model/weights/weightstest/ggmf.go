package weightstest

import (
	"encoding/binary"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// GGMF is the header of an rwkv.cpp file.
type GGMF struct{ Version, Vocab, Embed, Layers, Type int32 }

// GGMFTensor is a tensor of an rwkv.cpp file as it is stored, right or wrong.
type GGMFTensor struct {
	Name string
	Type int32
	Dims []int32 // innermost first
	Data []byte
}

// File returns an rwkv.cpp file.
func (h GGMF) File(tensors ...GGMFTensor) []byte {
	out := []byte("fmgg")
	put := func(numbers ...int32) {
		for _, n := range numbers {
			out = binary.LittleEndian.AppendUint32(out, uint32(n))
		}
	}
	put(h.Version, h.Vocab, h.Embed, h.Layers, h.Type)
	for _, t := range tensors {
		put(int32(len(t.Dims)), int32(len(t.Name)), t.Type)
		put(t.Dims...)
		out = append(append(out, t.Name...), t.Data...)
	}
	return out
}

// ggmfNumbers are the numbers of the types in a file.
var ggmfNumbers = map[tensor.Type]int32{tensor.F32: 0, tensor.F16: 1, tensor.Q4_0: 2, tensor.Q4_1: 3, tensor.Q5_0: 7, tensor.Q5_1: 8, tensor.Q8_0: 9}

// RWKVCpp returns RWKV-7 tensors as rwkv.cpp stores them: matrices transposed that it transposes, the token-shift mixes
// packed in one tensor.
func RWKVCpp(tensors []*tensor.Tensor) (out []GGMFTensor) {
	var mixes []byte
	for _, t := range tensors {
		stem, part := t.Name[:strings.LastIndexByte(t.Name, '.')+1], t.Name[strings.LastIndexByte(t.Name, '.')+1:]
		switch {
		case strings.Contains(t.Name, ".att.x_"): // rwkvag, in this order
			if mixes = append(mixes, bytesOf(t)...); part == "x_g" {
				out = append(out, stored(tensor.FromBytes(stem+"x_rwkvag", t.Type, []int{6, 1, t.Len()}, mixes)))
				mixes = nil
			}
			continue
		case len(part) == 2 && strings.Contains("wavg", part[:1]) && strings.Contains("12", part[1:]):
			t = t.Transposed()
		}
		out = append(out, stored(t))
	}
	return out
}

func stored(t *tensor.Tensor) GGMFTensor {
	g := GGMFTensor{Name: t.Name, Type: ggmfNumbers[t.Type], Data: bytesOf(t)}
	for i := len(t.Shape) - 1; i >= 0; i-- {
		g.Dims = append(g.Dims, int32(t.Shape[i]))
	}
	return g
}
