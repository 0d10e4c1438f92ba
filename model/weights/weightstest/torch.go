package weightstest

import (
	"encoding/binary"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Torch says how to write a PyTorch file. The zero value is a plain dict of contiguous tensors, a storage for each.
type Torch struct {
	Protocol   int      // of the pickles; 0 for 2
	Legacy     bool     // the format before torch 1.6
	Ordered    bool     // an OrderedDict with a _metadata attribute
	Strided    bool     // matrices and stacks of them with the last two dimensions swapped in memory
	Shared     bool     // all vectors of a type in one storage
	Parameters bool     // tensors wrapped as nn.Parameter
	Wrap       []string // keys of nested dicts around the state dict, the outermost first
	Prefix     string   // before every name
	Extra      Dict     // entries that are no tensors
}

// Storage is an array in a PyTorch file.
type Storage struct {
	Key   string
	Data  []byte
	Count int // elements
}

// File returns a PyTorch file with the tensors. It panics if one does not load.
func (o Torch) File(tensors []*tensor.Tensor) []byte {
	if o.Protocol == 0 {
		o.Protocol = 2
	}
	state, arrays := o.state(tensors)
	var value any = state
	if o.Ordered {
		value = State{Ordered(state), Dict{{"_metadata", Ordered{{"", Dict{{"version", 1}}}}}}}
	}
	for i := len(o.Wrap) - 1; i >= 0; i-- {
		value = Dict{{"epoch", 3}, {o.Wrap[i], value}}
	}
	pickle := Pickle(o.Protocol, value)
	if o.Legacy {
		return TorchLegacy(o.Protocol, pickle, arrays)
	}
	return TorchZip(pickle, arrays)
}

// state returns the pairs of the state dict and the storages.
func (o Torch) state(tensors []*tensor.Tensor) (state Dict, arrays []Storage) {
	shared := map[tensor.Type]int{}
	for _, t := range tensors {
		if o.Shared && len(t.Shape) == 1 {
			if _, ok := shared[t.Type]; !ok {
				shared[t.Type] = len(arrays)
				arrays = append(arrays, Storage{Key: fmt.Sprint(len(arrays))})
			}
			a := &arrays[shared[t.Type]]
			a.Data, a.Count = append(a.Data, bytesOf(t)...), a.Count+t.Len()
		}
	}
	at := map[tensor.Type]int{}
	for _, t := range tensors {
		i, offset := len(arrays), 0
		stride := Strides(t.Shape)
		if o.Shared && len(t.Shape) == 1 {
			i, offset = shared[t.Type], at[t.Type]
			at[t.Type] += t.Len()
		} else {
			arrays = append(arrays, Storage{Key: fmt.Sprint(i), Data: bytesOf(t), Count: t.Len()})
		}
		if n := len(t.Shape); o.Strided && n >= 2 {
			stride[n-2], stride[n-1] = 1, t.Shape[n-2]
			arrays[i].Data = bytesOf(t.Transposed())
		}
		v := TorchTensor(TorchStorage(t.Type, arrays[i].Key, arrays[i].Count), offset, t.Shape, stride)
		if o.Parameters {
			v = Call{Global("torch._utils _rebuild_parameter"), Tuple{v, true, Ordered{}}}
		}
		state = append(state, Pair{o.Prefix + t.Name, v})
	}
	return append(state, o.Extra...), arrays
}

func bytesOf(t *tensor.Tensor) []byte {
	b, err := t.Load()
	if err != nil {
		panic("weightstest: " + err.Error())
	}
	return b
}

// Strides returns the strides of contiguous elements.
func Strides(shape []int) []int {
	stride := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		stride[i] = n
		n *= shape[i]
	}
	return stride
}

// TorchStorage returns a reference to a storage of n elements.
func TorchStorage(typ tensor.Type, key string, n int) any {
	class := map[tensor.Type]string{tensor.F32: "FloatStorage", tensor.F16: "HalfStorage", tensor.BF16: "BFloat16Storage"}[typ]
	return Persistent{Tuple{"storage", Global("torch " + class), key, "cpu", n}}
}

// TorchTensor returns the call that makes a tensor of a storage.
func TorchTensor(storage any, offset int, shape, stride []int) any {
	return Call{Global("torch._utils _rebuild_tensor_v2"), Tuple{storage, offset, ints(shape), ints(stride), false, Ordered{}}}
}

func ints(list []int) Tuple {
	t := Tuple{}
	for _, n := range list {
		t = append(t, n)
	}
	return t
}

// TorchZip returns a zip file of torch.save with that data.pkl.
func TorchZip(pickle []byte, arrays []Storage) []byte {
	entries := []ZipEntry{{Name: "model/data.pkl", Data: pickle}, {Name: "model/byteorder", Data: []byte("little")}}
	for _, a := range arrays {
		entries = append(entries, ZipEntry{Name: "model/data/" + a.Key, Data: a.Data})
	}
	return Zip(true, append(entries, ZipEntry{Name: "model/version", Data: []byte("3\n")})...)
}

// TorchLegacy returns a file of torch.save before 1.6 with that pickle of the value.
func TorchLegacy(protocol int, pickle []byte, arrays []Storage) []byte {
	magic := Long{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}
	sizes := Dict{{"short", 2}, {"int", 4}, {"long", 4}}
	keys := make([]any, len(arrays))
	for i, a := range arrays {
		keys[i] = a.Key
	}
	out := Pickle(protocol, magic)
	out = append(out, Pickle(protocol, 1001)...)
	out = append(out, Pickle(protocol, Dict{{"protocol_version", 1001}, {"little_endian", true}, {"type_sizes", sizes}})...)
	out = append(out, pickle...)
	out = append(out, Pickle(protocol, keys)...)
	for _, a := range arrays {
		out = binary.LittleEndian.AppendUint64(out, uint64(a.Count))
		out = append(out, a.Data...)
	}
	return out
}
