package weights_test

import (
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// mostGrowth is how many times its size a file's tensors may take: views of one storage 4 times, transposed blocks 8.
const mostGrowth = 8

// FuzzTorchPickle reads any pickle over sound storages, in either container.
func FuzzTorchPickle(f *testing.F) {
	three := []weightstest.Storage{arrays[0], {Key: "1", Data: make([]byte, 64), Count: 32}, {Key: "2", Data: make([]byte, 64), Count: 16}}
	for _, b := range slices.Concat(brokenOpcodes, brokenValues) {
		if len(b.pickle) < 4096 {
			f.Add(b.pickle, len(b.pickle)%2 == 0)
		}
	}
	state := weightstest.Ordered{
		{"_orig_mod.a", matrix},
		{"b", weightstest.TorchTensor(weightstest.TorchStorage(tensor.BF16, "1", 32), 2, []int{3, 4}, []int{1, 5})},
		{"c", weightstest.TorchTensor(weightstest.TorchStorage(tensor.F32, "2", 16), 1, []int{2, 2, 2}, []int{1, 2, 4})},
		{"rest", []any{1.5, -1, 70_000, nil, true, weightstest.Long("0123456789")}},
	}
	for protocol := 2; protocol <= 5; protocol++ {
		for _, legacy := range []bool{false, true} {
			f.Add(weightstest.Pickle(protocol, state), legacy)
			f.Add(weightstest.Pickle(protocol, weightstest.Dict{{"model", weightstest.State{Value: state, Dict: weightstest.Dict{}}}}), legacy)
		}
	}
	f.Fuzz(func(t *testing.T, pickle []byte, legacy bool) {
		if legacy {
			survivesWithin(t, weightstest.TorchLegacy(2, pickle, three), mostGrowth)
		} else {
			survivesWithin(t, weightstest.TorchZip(pickle, three), mostGrowth)
		}
	})
}

// FuzzTorch reads any bytes, beginning with files in both containers.
func FuzzTorch(f *testing.F) {
	for _, v := range torchVariants {
		f.Add(v.File([]*tensor.Tensor{zeros("blocks.0.att.w1", 2, 3), zeros("emb.weight", 2, 2), zeros("b", 2)}))
	}
	for _, b := range slices.Concat(brokenZips, brokenLegacy) {
		if len(b.data) < 4096 {
			f.Add(b.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { survivesWithin(t, data, mostGrowth) })
}

// FuzzGGMF reads any bytes after the magic of rwkv.cpp's files.
func FuzzGGMF(f *testing.F) {
	f.Add(head(small, 101).File(weightstest.RWKVCpp(weightstest.RWKV7(small, tensor.F16, 1))...)[4:])
	for _, cells := range olderModels {
		var tensors []weightstest.GGMFTensor
		for _, c := range cells {
			tensors = append(tensors, c.counted())
		}
		f.Add(soundGGMF.File(tensors...)[4:])
	}
	for _, b := range brokenGGMF {
		if len(b.data) >= 4 {
			f.Add(b.data[4:])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { survivesWithin(t, append([]byte("fmgg"), data...), mostGrowth) })
}
