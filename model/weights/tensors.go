package weights

import "github.com/rwkv-gpu/rwkv-gpu/model/tensor"

// FromTensors makes a File of tensors that lie in no file, under their original names. path names them in errors, kind
// is the Format, and Bytes is the sum of the tensors' sizes.
func FromTensors(path, kind string, list []*tensor.Tensor) (*File, error) {
	size := 0
	for _, t := range list {
		size += t.Type.Bytes(t.Len())
	}
	return newFile(path, kind, contents{tensors: list, layout: "original"}, size)
}
