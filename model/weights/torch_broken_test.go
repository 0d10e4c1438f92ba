package weights_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A file with one storage of four F16 numbers; the pickles below are variations on its own.
var (
	arrays  = []weightstest.Storage{{Key: "0", Data: make([]byte, 8), Count: 4}}
	array   = weightstest.TorchStorage(tensor.F16, "0", 4)
	matrix  = weightstest.TorchTensor(array, 0, []int{2, 2}, []int{2, 1})
	storage = weightstest.Tuple{"storage", weightstest.Global("torch HalfStorage"), "0", "cpu", 4}
)

// brokenPickle is a pickle that must be refused in either container.
type brokenPickle struct {
	name     string
	pickle   []byte
	fragment string
}

// value pickles v.
func value(name string, v any, fragment string) brokenPickle {
	return brokenPickle{name, weightstest.Pickle(2, v), fragment}
}

// code is a pickle of the opcodes as they are, after PROTO.
func code(name, opcodes, fragment string) brokenPickle {
	return brokenPickle{name, []byte("\x80\x02" + opcodes), "pickle: " + fragment}
}

// refused is a pickle whose first opcode is one that must not run.
func refused(name string, op byte) brokenPickle {
	return code(name, string([]byte{op})+"os\nsystem\n.", "want only opcodes that build tensors, dicts, lists, tuples, strings and numbers, got opcode "+name+" at byte 2: refused")
}

// named is a pickle that names something it must not.
func named(module, name string) brokenPickle {
	return value(module+"."+name, weightstest.Call{Func: weightstest.Global(module + " " + name), Args: weightstest.Tuple{"echo"}},
		"pickle: want a state dict, which names only torch's storages and functions that rebuild tensors, got the name "+module+"."+name+" at byte 2: refused")
}

// single returns a state dict of a tensor a.
func single(x any) any { return weightstest.Dict{{"a", x}} }

// view is a state dict of a view of the storage.
func view(name string, offset int, shape, stride []int, fragment string) brokenPickle {
	return value(name, single(weightstest.TorchTensor(array, offset, shape, stride)), "tensor a: "+fragment)
}

// rebuilt is a state dict of a tensor rebuilt from arguments.
func rebuilt(name string, args weightstest.Tuple, fragment string) brokenPickle {
	return value(name, single(weightstest.Call{Func: weightstest.Global("torch._utils _rebuild_tensor_v2"), Args: args}), fragment)
}

// identified is a state dict of a tensor whose storage has that persistent id.
func identified(name string, id any, fragment string) brokenPickle {
	return value(name, single(weightstest.TorchTensor(weightstest.Persistent{ID: id}, 0, []int{2, 2}, []int{2, 1})), fragment)
}

// with returns t with item i replaced.
func with(t weightstest.Tuple, i int, v any) weightstest.Tuple {
	t = append(weightstest.Tuple{}, t...)
	t[i] = v
	return t
}

var brokenOpcodes = []brokenPickle{
	{"protocol 0", []byte("(dp0\n."), "pickle: want a pickle of protocol 2 to 5, got one that begins 28 64"},
	{"protocol 6", []byte("\x80\x06N."), "pickle: want a pickle of protocol 2 to 5, got one that begins 80 06"},
	code("protocol changes", "\x80\x07N.", "want protocol 2 to 5, got 7 for PROTO at byte 2"),
	code("not an opcode", "\xffN.", "want an opcode, got byte 0xff at byte 2"),
	refused("INST", 'i'), refused("OBJ", 'o'), refused("NEWOBJ_EX", 0x92), refused("EXT1", 0x82),
	refused("EXT4", 0x84), refused("PERSID", 'P'), refused("POP", '0'), refused("DUP", '2'), refused("INT", 'I'), refused("STRING", 'S'),
	refused("EMPTY_SET", 0x8f), refused("FROZENSET", 0x91), refused("BYTEARRAY8", 0x96), refused("NEXT_BUFFER", 0x97), refused("DICT", 'd'),
	named("os", "system"), named("posix", "system"), named("builtins", "eval"), named("__builtin__", "getattr"),
	named("torch", "load"), named("torch._utils", "_rebuild_sparse_tensor"), named("collections", "OrderedDict.fromkeys"),
	named("numpy", "load"), named("numpy.core.multiarray", "fromfile"), named("torch.storage", "_load_from_bytes"), named("torch", "load"),
	named("builtins", "getattr"), named("builtins", "eval"), named("torch", "floatx.y"), named("argparse", "ArgumentParser"), named("pathlib", "os"),
	named("lightning", "Trainer"), named("torch.nn.modules.linear", "Linear"), named("", ""),
	code("NEWOBJ of nothing", "\x81.", "want 2 values on the stack, got 0 for NEWOBJ"),
	code("NEWOBJ of a function", "cos\nsystem\n)\x81.", "want a state dict, which names only torch's storages and functions that rebuild tensors, got the name os.system"),
	code("NEWOBJ of a storage", "ctorch\nHalfStorage\n)\x81.", "want a harmless class and a tuple of arguments, got the name torch.HalfStorage and a tuple of 0"),
	code("NEWOBJ without arguments", "cargparse\nNamespace\n}\x81.", "want a harmless class and a tuple of arguments, got the name argparse.Namespace and a dict"),
	value("a type that is none", single(weightstest.Call{Func: weightstest.Global("torch._utils _rebuild_tensor_v3"), Args: weightstest.Tuple{array, 0, weightstest.Tuple{4}, weightstest.Tuple{1}, false, nil, "float8"}}), "want a type of elements in the tensor a, got a string"),
	value("a subclass by another function", single(weightstest.Call{Func: weightstest.Global("torch._tensor _rebuild_from_type_v2"), Args: weightstest.Tuple{weightstest.Global("collections OrderedDict"), weightstest.Global("torch Tensor"), weightstest.Tuple{}, nil}}), "want a function that rebuilds a tensor, and its arguments"),
	value("converted by the rwkv package", weightstest.Dict{{"_strategy", "cuda fp16i8"}, {"emb.weight", matrix}}, `format: want a model as it was published, got one that the rwkv package converted for itself (_strategy "cuda fp16i8")`),
	{"eval by STACK_GLOBAL", weightstest.Pickle(4, weightstest.Global("builtins eval")), "got the name builtins.eval"},
	{"STACK_GLOBAL of numbers", []byte("\x80\x04K\x01K\x02\x93."), "want two strings, got an integer and an integer for STACK_GLOBAL"},
	code("GLOBAL without an end", "ctorch", "want a line of at most 256 bytes, got none for GLOBAL"),
	code("GLOBAL of one line", "ctorch\nFloatStorage", "want a line of at most 256 bytes, got none for GLOBAL"),
	code("long GLOBAL", "c"+strings.Repeat("x", 300)+"\n\n.", "want a line of at most 256 bytes"),
	code("string past the end", "X\xff\xff\xff\xffabc", "want 4294967295 more bytes, got 3 (truncated file?) for BINUNICODE at byte 2"),
	code("string of 2^64-1 bytes", "\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "want 18446744073709551615 more bytes"),
	code("bytes past the end", "B\x00\x00\x00\x80", "want 2147483648 more bytes"),
	code("number past the end", "\x8b\xff\xff\xff\x7f", "want 2147483647 more bytes, got 0 (truncated file?) for LONG4"),
	code("half a number", "J\x01\x02", "want 4 more bytes, got 2"),
	code("half a float", "G\x01\x02", "want 8 more bytes, got 2"),
	code("half a frame", "\x95\x01", "want 8 more bytes, got 1"),
	code("nothing to append", "]a.", "want 1 values on the stack"),
	code("empty stack", "\x85.", "want 1 values on the stack, got 0 for TUPLE1"),
	code("below a mark", "N(\x85.", "want 1 values on the stack, got 0 for TUPLE1"),
	code("no mark", "Nt.", "want a MARK before it, got none for TUPLE"),
	code("nothing to remember", "q\x00.", "want 1 values on the stack, got 0 for BINPUT"),
	code("memo slot never set", "h\x07.", "want a memo slot that was set, got slot 7 for BINGET"),
	code("memo slot 2^32-1", "Nr\xff\xff\xff\xff.", "want at most 524288 memo slots, got slot 4294967295 for LONG_BINPUT"),
	code("append to a dict", "}Na.", "want a list, got a dict for APPEND"),
	code("item of a list", "]NNs.", "want a dict, got a list for SETITEM"),
	code("odd items", "}(NNNu.", "want pairs of key and value, got 3 values for SETITEMS"),
	code("attributes of a number", "K\x01}b.", "want a dict whose attributes to set, got an integer for BUILD"),
	code("call with a list", "ccollections\nOrderedDict\n]R.", "want a tuple of arguments, got a list for REDUCE"),
	code("call of a number", "K\x01)R.", "want a call that builds a tensor or dict, got an integer with a tuple of 0"),
	code("call of a storage class", "ctorch\nFloatStorage\n)R.", "want a call that builds a tensor or dict, got the name torch.FloatStorage with a tuple of 0"),
	code("dict of a number", "ccollections\nOrderedDict\nK\x01\x85R.", "want no arguments or a list of pairs, got a tuple of 1"),
	code("dict of numbers", "ccollections\nOrderedDict\n](K\x01K\x02e\x85R.", "want a pair of key and value, got an integer"),
	code("nothing at the end", ".", "want one value, got 0 and 0 open marks for STOP"),
	code("two values at the end", "NN.", "want one value, got 2 and 0"),
	code("open mark at the end", "(N.", "want one value, got 1 and 1 open marks for STOP"),
	code("no end", "N", "want 1 more bytes, got 0 (truncated file?) for STOP at byte 3"),
}

var brokenValues = []brokenPickle{
	value("a number", 7, "pickle: want one dict of tensors (a state dict), got an integer"),
	value("a bare tensor", matrix, "got a tensor"),
	value("a list of tensors", []any{matrix}, "got a list"),
	value("an empty dict", weightstest.Dict{}, "got an empty dict"),
	value("no tensors", weightstest.Dict{{"a", 1}, {"b", "x"}, {3, nil}, {"d", 1.5}, {"e", true}}, `got a dict of "a": an integer, "b": a string, an integer: None, "d": a float and 1 more`),
	value("two state dicts", weightstest.Dict{{"first", single(matrix)}, {"second", single(matrix)}}, `got a dict of "first": a dict, "second": a dict`),
	value("a counter", weightstest.Dict{{"n", weightstest.TorchTensor(weightstest.Persistent{ID: with(storage, 1, weightstest.Global("torch LongStorage"))}, 0, []int{}, []int{})}}, `got a dict of "n": a tensor`),
	{"a dict in itself", []byte("\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), `got a dict of "a": a dict`},
	value("a number for a name", weightstest.Dict{{5, matrix}}, "state dict: want strings for the names of tensors, got an integer"),
	value("no name", weightstest.Dict{{"", matrix}}, "name: want 1 to 256 bytes of UTF-8, got 0 bytes"),
	value("name of 257 bytes", weightstest.Dict{{strings.Repeat("n", 257), matrix}}, "name: want 1 to 256 bytes of UTF-8, got 257 bytes"),
	value("name that is not UTF-8", weightstest.Dict{{"\xff\xfe", matrix}}, "name: want 1 to 256 bytes of UTF-8, got 2 bytes"),
	value("name twice", weightstest.Dict{{"a", matrix}, {"b", matrix}, {"a", matrix}}, "tensor a: state dict: want one entry, got the name twice"),
	value("name twice, once compiled", weightstest.Dict{{"a", matrix}, {"_orig_mod.a", matrix}}, "name: want one tensor for a"),

	identified("doubles", with(storage, 1, weightstest.Global("torch DoubleStorage")), "tensor a: dtype: want one of F32, F16, BF16, got torch.DoubleStorage"),
	identified("integers", with(storage, 1, weightstest.Global("torch IntStorage")), "tensor a: dtype: want one of F32, F16, BF16, got torch.IntStorage"),
	identified("bools", with(storage, 1, weightstest.Global("torch BoolStorage")), "got torch.BoolStorage"),
	identified("complex numbers", with(storage, 1, weightstest.Global("torch ComplexFloatStorage")), "got torch.ComplexFloatStorage"),
	identified("a function for a class", with(storage, 1, weightstest.Global("torch._utils _rebuild_tensor")), "want a storage class, got the name torch._utils._rebuild_tensor for BINPERSID"),
	identified("a string for an id", "0", "want a tuple of 5 or 6 that identifies a storage, got a string for BINPERSID"),
	identified("an id of four", storage[:4], "got a tuple of 4 for BINPERSID"),
	identified("an id of a module", with(storage, 0, "module"), `want "storage", got a string for BINPERSID`),
	identified("a number for a key", with(storage, 2, 0), "want a storage key, a string of at most 256 bytes, got an integer"),
	identified("a key of 300 bytes", with(storage, 2, strings.Repeat("k", 300)), "want a storage key, a string of at most 256 bytes"),
	identified("a string for a size", with(storage, 4, "4"), "want a number of elements, got a string"),
	identified("a negative size", with(storage, 4, -4), "want a number of elements"),
	identified("a size of 16 bytes", with(storage, 4, weightstest.Long("0123456789abcdef")), "want a number of elements, got an integer"),
	identified("view past the end", append(storage, weightstest.Tuple{"v", 2, 3}), "want a view within the 4 elements of the storage, got 3 from 2"),
	identified("view before the begin", append(storage, weightstest.Tuple{"v", -1, 3}), "want a view within the 4 elements of the storage, got 3 from -1"),
	identified("view of nothing", append(storage, "v"), "want None or a tuple of 3 for the view of a storage, got a string"),
	identified("view of strings", append(storage, weightstest.Tuple{"v", "0", "4"}), "want two numbers for the view of a storage, got a string and a string"),

	rebuilt("no storage", weightstest.Tuple{"0", 0, weightstest.Tuple{4}, weightstest.Tuple{1}, false, nil}, "want a storage in the tensor a, got a string for REDUCE"),
	rebuilt("no offset", weightstest.Tuple{array, nil, weightstest.Tuple{4}, weightstest.Tuple{1}, false, nil}, "want an offset in the tensor a, got None"),
	rebuilt("shape as a list", weightstest.Tuple{array, 0, []any{4}, weightstest.Tuple{1}, false, nil}, "want a shape of at most 8 numbers in the tensor a, got a list"),
	rebuilt("shape of strings", weightstest.Tuple{array, 0, weightstest.Tuple{"4"}, weightstest.Tuple{1}, false, nil}, "want a shape of numbers in the tensor a, got a string"),
	rebuilt("nine dimensions", weightstest.Tuple{array, 0, weightstest.Tuple{1, 1, 1, 1, 1, 1, 1, 1, 4}, weightstest.Tuple{1}, false, nil}, "want a shape of at most 8 numbers in the tensor a, got a tuple of 9"),
	rebuilt("stride of a float", weightstest.Tuple{array, 0, weightstest.Tuple{4}, weightstest.Tuple{1.5}, false, nil}, "want a stride of numbers in the tensor a, got a float"),
	rebuilt("two strides for one dimension", weightstest.Tuple{array, 0, weightstest.Tuple{4}, weightstest.Tuple{1, 1}, false, nil}, "want 1 strides in the tensor a, got 2"),
	rebuilt("five arguments", weightstest.Tuple{array, 0, weightstest.Tuple{4}, weightstest.Tuple{1}, false}, "want 6 to 7 arguments that rebuild a tensor, got a tuple of 5"),
	value("a parameter of a number", single(weightstest.Call{Func: weightstest.Global("torch._utils _rebuild_parameter"), Args: weightstest.Tuple{1, true, nil}}), "want a tensor in the parameter, got an integer"),

	view("negative offset", -1, []int{2}, []int{1}, "offset: want one within the storage's 4 elements, got -1"),
	view("offset past the end", 4, []int{1}, []int{1}, "offset: want one within the storage's 4 elements, got 4"),
	view("huge offset", 1<<62, []int{1}, []int{1}, "offset: want one within the storage's 4 elements"),
	view("zero", 0, []int{0}, []int{1}, "shape: want dimensions of 1 or more, got [0]"),
	view("negative", 0, []int{-2, -2}, []int{2, 1}, "shape: want dimensions of 1 or more, got [-2 -2]"),
	view("2^62 elements", 0, []int{1 << 62}, []int{0}, "shape: want at most the storage's 4 elements"),
	view("product wraps to 0", 0, []int{1 << 32, 1 << 32}, []int{0, 0}, "shape: want at most the storage's 4 elements"),
	view("expanded", 0, []int{3, 2}, []int{0, 1}, "shape: want at most the storage's 4 elements, got [3 2]"),
	view("past the end", 1, []int{2, 2}, []int{2, 1}, "stride: want elements within the storage's 4, from 1 on, got [2 1] for the shape [2 2]"),
	view("stride past the end", 0, []int{2, 2}, []int{1, 3}, "stride: want elements within the storage's 4, from 0 on"),
	view("negative stride", 3, []int{4}, []int{-1}, "stride: want elements within the storage's 4"),
	view("stride that wraps", 0, []int{4}, []int{1 << 62}, "stride: want elements within the storage's 4"),
}

// shared is a state dict of n tensors over one storage of count numbers.
func shared(n, count int) (d weightstest.Dict) {
	x := weightstest.TorchTensor(weightstest.TorchStorage(tensor.F16, "0", count), 0, []int{count}, []int{1})
	for i := range n {
		d = append(d, weightstest.Pair{fmt.Sprint(i), weightstest.Ref{Value: &x}})
	}
	return d
}

// Every broken pickle is refused in both containers, and costs next to nothing.
func TestTorchBrokenPickle(t *testing.T) {
	wrap := map[string]func(pickle []byte) []byte{
		"zip":    func(p []byte) []byte { return weightstest.TorchZip(p, arrays) },
		"legacy": func(p []byte) []byte { return weightstest.TorchLegacy(2, p, arrays) },
	}
	for container, file := range wrap {
		if _, err := weights.Parse("sound", file(weightstest.Pickle(2, single(matrix)))); err != nil {
			t.Fatal("the file that is varied is broken itself:", err)
		}
		for _, table := range [][]brokenPickle{brokenOpcodes, brokenValues} {
			for _, b := range table {
				fragment := b.fragment
				if container == "legacy" { // what follows the pickle is read as a part of it
					if strings.Contains(fragment, "more bytes") || strings.Contains(fragment, "want a line") {
						fragment = "pickle: "
					}
				}
				t.Run(container+"/"+b.name, func(t *testing.T) { broken{b.name, file(b.pickle), fragment}.check(t, 1) })
			}
		}
	}
}

// Pickles that try to cost memory or stack do not get it.
func TestTorchHugePickle(t *testing.T) {
	if testing.Short() {
		t.Skip("counts memory, and is slow under the race detector")
	}
	const many = 600_000
	list := func(item string, n int) []byte {
		return []byte("\x80\x02](" + strings.Repeat(item, n) + "e.")
	}
	for name, b := range map[string]struct {
		pickle   []byte
		fragment string
	}{
		"too many values":        {list("N", many), "want at most 524288 values, got more"},
		"too many marks":         {list("(", many), "want at most 524288 values, got more"},
		"too many dicts":         {list("}", many), "want at most 524288 values, got more"},
		"deep tuples":            {[]byte("\x80\x02)" + strings.Repeat("\x85", many) + "."), "want at most 524288 values, got more"},
		"deep lists":             {[]byte("\x80\x02" + strings.Repeat("]", 200_000) + strings.Repeat("a", 199_999) + "."), "got a list"},
		"deep dicts":             {[]byte("\x80\x02" + strings.Repeat("}U\x01a", 200_000) + "N" + strings.Repeat("s", 200_000) + "."), "want one dict of tensors"},
		"deep dicts, same keys":  {[]byte("\x80\x02" + strings.Repeat("}U\x05model", 200_000) + "N" + strings.Repeat("s", 200_000) + "."), "want one dict of tensors"},
		"a list in itself":       {[]byte("\x80\x02]q\x00(" + strings.Repeat("h\x00", 200_000) + "e."), "got a list"},
		"dicts of one another":   {[]byte("\x80\x02}q\x00}q\x01}q\x02(" + strings.Repeat("h\x00h\x01h\x02h\x00", 100_000) + "u\x87."), "got a tuple of 3"},
		"one pair list, often":   {[]byte("\x80\x02](" + strings.Repeat("NN\x86", 1000) + "eq\x00ccollections\nOrderedDict\nq\x01(" + strings.Repeat("h\x01h\x00\x85R", 1000) + "t."), "want at most 524288 values, got more"},
		"memo slots far apart":   {[]byte("\x80\x02N" + strings.Repeat("r\xff\xff\x07\x00", 100_000) + "."), "got None"},
		"a string of 8 MiB":      {[]byte("\x80\x02X\x00\x00\x80\x00" + strings.Repeat("s", 1<<23) + "."), "got a string"},
		"a name of 8 MiB":        {weightstest.Pickle(2, weightstest.Dict{{strings.Repeat("n", 1<<23), matrix}}), "got 8388608 bytes"},
		"more than 16 MiB":       {bytes.Repeat([]byte("\x80\x02"), 9<<20), "pickle: want at most 16777216 bytes, got more"},
		"storages, many times":   {[]byte("\x80\x02(U\x07storagectorch\nHalfStorage\nU\x010NK\x04tq\x00]q\x01(" + strings.Repeat("h\x00Q", 200_000) + "e\x86."), "got a tuple of 2"},
		"tensors over one often": {weightstest.Pickle(2, shared(40_000, 4)), "want at most 32768 tensors, got more"},
	} {
		t.Run(name, func(t *testing.T) {
			broken{name, weightstest.TorchZip(b.pickle, arrays), b.fragment}.check(t, 90)
			broken{name, weightstest.TorchLegacy(2, b.pickle, arrays), b.fragment}.check(t, 90)
		})
	}
}
