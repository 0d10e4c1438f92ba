package weights_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// head is the header of a file of the size.
func head(s weightstest.Size, version int32) weightstest.GGMF {
	return weightstest.GGMF{Version: version, Vocab: int32(s.Vocab), Embed: int32(s.Embed), Layers: int32(s.Layers), Type: 1}
}

// A model reads the same from rwkv.cpp's file as from its original, in both versions and plain types.
func TestGGMF(t *testing.T) {
	for _, typ := range []tensor.Type{tensor.F32, tensor.F16} {
		original := weightstest.RWKV7(weightstest.Tiny, typ, 6)
		want := parse(t, weightstest.Safetensors(original, nil))
		for _, version := range []int32{100, 101} {
			f := parse(t, head(weightstest.Tiny, version).File(weightstest.RWKVCpp(original)...))
			sameTensors(t, want, f)
			if f.Format != "rwkv.cpp .bin" || f.Layout != "rwkv.cpp" || f.Meta["data_type"] != "F16" || len(f.Functions) != 0 {
				t.Errorf("%s, %s, %v, %v", f.Format, f.Layout, f.Meta, f.Functions)
			}
		}
	}
}

// cell is a tensor of an older version as rwkv.cpp stores it and as it must come out; the numbers count up from 0.
type cell struct {
	name   string
	typ    tensor.Type
	stored []int
	shape  []int
	swap   bool // the last two dimensions are exchanged
	form   weights.Function
}

// olderModels are tensors that tell each older version, and all that its converter changes.
var olderModels = map[string][]cell{
	"v4": {
		{"blocks.0.att.time_decay", tensor.F32, []int{4}, []int{4}, false, weights.NegExp},
		{"blocks.0.att.time_first", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
		{"blocks.0.ffn.time_mix_k", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
	},
	"v5.0": {
		{"blocks.0.att.ln_x.weight", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
		{"blocks.0.att.time_decay", tensor.F32, []int{2, 1, 1}, []int{2}, false, weights.ExpNegExp},
		{"blocks.0.att.time_first", tensor.F32, []int{2, 1, 1}, []int{2}, false, weights.Exp},
	},
	"v5.2": {
		{"blocks.0.att.ln_x.weight", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
		{"blocks.0.att.gate.weight", tensor.F16, []int{4, 4}, []int{4, 4}, false, weights.Plain},
		{"blocks.0.att.time_decay", tensor.F32, []int{2, 2, 1}, []int{2, 2}, false, weights.ExpNegExp},
		{"blocks.0.att.time_faaaa", tensor.F32, []int{2, 2, 1}, []int{2, 2}, false, weights.Plain},
	},
	"v6": {
		{"blocks.0.att.ln_x.weight", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
		{"blocks.0.att.time_maa_x", tensor.F32, []int{4}, []int{4}, false, weights.Plain},
		{"blocks.0.att.time_decay", tensor.F32, []int{2, 2, 1}, []int{4}, false, weights.Plain},
		{"blocks.0.att.time_faaaa", tensor.F32, []int{2, 2, 1}, []int{2, 2}, false, weights.Plain},
		{"blocks.0.att.time_maa_w1", tensor.F16, []int{10, 4}, []int{4, 10}, true, weights.Plain},
		{"blocks.0.att.time_maa_w2", tensor.F32, []int{5, 4, 2}, []int{5, 2, 4}, true, weights.Plain},
		{"blocks.0.att.time_decay_w1", tensor.Q8_0, []int{3, 32}, []int{32, 3}, true, weights.Plain},
		{"blocks.0.att.time_decay_w2", tensor.F32, []int{4, 3}, []int{3, 4}, true, weights.Plain},
	},
}

// counted is a stored tensor of the numbers 0, 1, 2, …
func (c cell) counted() weightstest.GGMFTensor {
	g := weightstest.GGMFTensor{Name: c.name}
	n := 1
	for _, d := range slices.Backward(c.stored) {
		g.Dims = append(g.Dims, int32(d))
		n *= d
	}
	if c.typ == tensor.Q8_0 { // scale 1, the numbers themselves
		g.Type = 9
		for i := range n {
			if i%32 == 0 {
				g.Data = append(g.Data, 0x00, 0x3c)
			}
			g.Data = append(g.Data, byte(i))
		}
		return g
	}
	numbers := make([]float32, n)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	g.Type = map[tensor.Type]int32{tensor.F32: 0, tensor.F16: 1}[c.typ]
	g.Data = make([]byte, c.typ.Bytes(n))
	c.typ.Encode(g.Data, numbers)
	return g
}

// What rwkv.cpp's converter did to the tensors of older versions is undone, or said.
func TestGGMFOlderVersions(t *testing.T) {
	for version, cells := range olderModels {
		var tensors []weightstest.GGMFTensor
		for _, c := range cells {
			tensors = append(tensors, c.counted())
		}
		f := parse(t, weightstest.GGMF{Version: 101, Vocab: 1, Embed: 4, Layers: 1}.File(tensors...))
		for _, c := range cells {
			x, err := f.Tensor(c.name)
			if err != nil {
				t.Fatal(version, err)
			}
			if !slices.Equal(x.Shape, c.shape) || f.Functions[c.name] != c.form {
				t.Errorf("%s: want %s %v as %q, got %s as %q", version, c.name, c.shape, c.form, x, f.Functions[c.name])
				continue
			}
			got := floats(t, x)
			for i, v := range got {
				want := float32(i)
				if c.swap {
					rows, cols := c.shape[len(c.shape)-2], c.shape[len(c.shape)-1]
					block, at := i/(rows*cols), i%(rows*cols)
					want = float32(block*rows*cols + at%cols*rows + at/cols)
				}
				if v != want {
					t.Errorf("%s: %s element %d: want %v, got %v", version, x, i, want, v)
					break
				}
			}
		}
	}
}

// plainTensor is an F32 tensor of zeros.
func plainTensor(name string, dims ...int32) weightstest.GGMFTensor {
	n := 4
	for _, d := range dims {
		n *= int(d)
	}
	return weightstest.GGMFTensor{Name: name, Dims: dims, Data: make([]byte, n)}
}

// soundGGMF is the header that the broken files vary, of a model of one layer.
var soundGGMF = weightstest.GGMF{Version: 101, Vocab: 3, Embed: 2, Layers: 1, Type: 0}

// layered is a file with a sound header, the embedding and one layer, and the tensors.
func layered(tensors ...weightstest.GGMFTensor) []byte {
	return soundGGMF.File(append([]weightstest.GGMFTensor{plainTensor("emb.weight", 2, 3), plainTensor("blocks.0.ln1.weight", 2)}, tensors...)...)
}

// headed is a file with another header.
func headed(name string, change func(*weightstest.GGMF), fragment string) broken {
	h := soundGGMF
	change(&h)
	return broken{name, h.File(plainTensor("emb.weight", 2, 3), plainTensor("blocks.0.ln1.weight", 2)), fragment}
}

// oneMore is a file with a tensor more, of eight bytes of data.
func oneMore(name string, typ int32, dims []int32, fragment string) broken {
	return broken{name, layered(weightstest.GGMFTensor{Name: "x", Type: typ, Dims: dims, Data: make([]byte, 8)}), fragment}
}

// trailing is a sound file and these numbers after it.
func trailing(name string, fragment string, numbers ...int32) broken {
	data := layered()
	for _, n := range numbers {
		data = binary.LittleEndian.AppendUint32(data, uint32(n))
	}
	return broken{name, data, fragment}
}

var brokenGGMF = []broken{
	{"only the magic", []byte("fmgg"), "header: want 24 bytes, got 4 (truncated file?)"},
	{"header cut", layered()[:23], "header: want 24 bytes, got 23"},
	{"header alone", layered()[:24], "n_layer: want 0, as there are tensors (truncated file?), got 1"},
	headed("version 99", func(h *weightstest.GGMF) { h.Version = 99 }, "version: want 100 or 101, got 99"),
	headed("version 102", func(h *weightstest.GGMF) { h.Version = 102 }, "version: want 100 or 101, got 102"),
	headed("version -1", func(h *weightstest.GGMF) { h.Version = -1 }, "version: want 100 or 101, got -1"),
	headed("no vocabulary", func(h *weightstest.GGMF) { h.Vocab = 0 }, "n_vocab: want 1 or more, got 0"),
	headed("negative vocabulary", func(h *weightstest.GGMF) { h.Vocab = math.MinInt32 }, "n_vocab: want 1 or more, got -2147483648"),
	headed("no width", func(h *weightstest.GGMF) { h.Embed = 0 }, "n_embed: want 1 or more, got 0"),
	headed("negative layers", func(h *weightstest.GGMF) { h.Layers = -3 }, "n_layer: want 1 or more, got -3"),
	headed("another vocabulary", func(h *weightstest.GGMF) { h.Vocab = 4 }, "tensor emb.weight: dimensions: want [4 2], as the header says, got [3 2]"),
	headed("another width", func(h *weightstest.GGMF) { h.Embed = 3 }, "tensor emb.weight: dimensions: want [3 3], as the header says, got [3 2]"),
	headed("another depth", func(h *weightstest.GGMF) { h.Layers = 2 }, "n_layer: want 1, as there are tensors (truncated file?), got 2"),
	headed("2^31-1 layers", func(h *weightstest.GGMF) { h.Layers = math.MaxInt32 }, "n_layer: want 1, as there are tensors"),
	headed("type 4", func(h *weightstest.GGMF) { h.Type = 4 }, "data_type: want F32, F16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0, got 4, which was withdrawn"),
	headed("type 10", func(h *weightstest.GGMF) { h.Type = 10 }, "data_type: want 0 F32, 1 F16"),
	headed("type -1", func(h *weightstest.GGMF) { h.Type = -1 }, "got -1"),
	headed("blocks of version 100", func(h *weightstest.GGMF) { h.Version, h.Type = 100, 2 }, "data_type: want F32 or F16 in a file of version 100, got Q4_0"),
	{"one byte more", append(layered(), 0), "header: want 12 bytes, got 1 (truncated file, or something after its end)"},
	trailing("zeros at the end", "rank: want 1 to 3, got 0", 0, 0, 0),
	trailing("rank 4", "rank: want 1 to 3, got 4", 4, 1, 0, 1, 1, 1, 1, 'x'),
	trailing("rank -1", "rank: want 1 to 3, got -1", -1, 1, 0),
	trailing("rank 2^31-1", "rank: want 1 to 3, got 2147483647", math.MaxInt32, 1, 0),
	trailing("no name", "name length: want 1 to 256, got 0", 1, 0, 0, 1, 0),
	trailing("name of -1", "name length: want 1 to 256, got -1", 1, -1, 0, 1, 0),
	trailing("name of 257", "name length: want 1 to 256, got 257", 1, 257, 0, 1, 0),
	trailing("name of 2^31-1", "name length: want 1 to 256, got 2147483647", 1, math.MaxInt32, 0, 1, 0),
	trailing("name past the end", "dimensions and name: want 14 bytes, got 8 (truncated file?)", 1, 10, 0, 1, 0),
	trailing("dimensions past the end", "dimensions and name: want 13 bytes, got 4", 3, 1, 0, 1),
	{"name that is not UTF-8", layered(plainTensor("\xff\xfe", 2)), `name: want UTF-8, got "\xff\xfe"`},
	{"name twice", layered(plainTensor("emb.weight", 2, 3)), "tensor emb.weight: name: want one tensor, got two"},
	oneMore("type 5", 5, []int32{2}, "tensor x: data_type: want F32, F16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0, got 5, which was withdrawn"),
	oneMore("type 11", 11, []int32{2}, "tensor x: data_type: want 0 F32, 1 F16"),
	oneMore("type 2^31-1", math.MaxInt32, []int32{2}, "got 2147483647"),
	oneMore("zero", 0, []int32{0}, "tensor x: dimensions: want numbers of 1 or more, got [0]"),
	oneMore("negative", 0, []int32{-2}, "tensor x: dimensions: want numbers of 1 or more, got [-2]"),
	oneMore("two negatives", 0, []int32{-1, -2}, "tensor x: dimensions: want numbers of 1 or more, got [-2 -1]"),
	oneMore("zero behind a huge one", 0, []int32{0, math.MaxInt32}, "tensor x: dimensions: want"),
	oneMore("one too many", 0, []int32{3}, "tensor x: dimensions: want at most the 8 bytes that follow, got F32[3] (truncated file?)"),
	oneMore("huge", 0, []int32{math.MaxInt32}, "tensor x: dimensions: want at most the 8 bytes that follow, got F32[2147483647]"),
	oneMore("product wraps", 1, []int32{math.MaxInt32, math.MaxInt32, 4}, "tensor x: dimensions: want at most the 8 bytes that follow"),
	oneMore("product wraps to 4", 0, []int32{1 << 30, 1 << 30, 16}, "tensor x: dimensions: want at most the 8 bytes that follow"),
	oneMore("half a block", 2, []int32{16}, "tensor x: dimensions: want rows of whole Q4_0 blocks of 32, got [16]"),
	oneMore("blocks across rows", 9, []int32{16, 2}, "tensor x: dimensions: want rows of whole Q8_0 blocks of 32, got [2 16]"),
	oneMore("block past the end", 7, []int32{32}, "tensor x: dimensions: want at most the 8 bytes that follow, got Q5_0[32]"),
	oneMore("too few numbers", 0, []int32{1}, "want 12 bytes, got 4 (truncated file, or something after its end)"),
	{"blocks in version 100", weightstest.GGMF{Version: 100, Vocab: 1, Embed: 1, Layers: 1}.File(weightstest.GGMFTensor{Name: "x", Type: 8, Dims: []int32{32}, Data: make([]byte, 24)}), "tensor x: data_type: want F32 or F16 in a file of version 100, got Q5_1 (its blocks had another layout then)"},
	{"layer 2^31", layered(plainTensor("blocks.2147483648.x", 1)), "n_layer: want 2147483648, as there are tensors"},
	{"a layer too many", layered(plainTensor("blocks.1.x", 1)), "n_layer: want 2, as there are tensors (truncated file?), got 1"},
	{"five mixes", layered(plainTensor("blocks.0.att.x_rwkvag", 2, 1, 5)), "tensor blocks.0.att.x_rwkvag: dimensions: want [6 1 C], got [5 1 2]"},
	{"flat mixes", layered(plainTensor("blocks.0.att.x_rwkvag", 12)), "tensor blocks.0.att.x_rwkvag: dimensions: want [6 1 C], got [12]"},
	{"mixes twice", layered(plainTensor("blocks.0.att.x_rwkvag", 2, 1, 6), plainTensor("blocks.0.att.x_w", 2)), "tensor blocks.0.att.x_w: name: want one tensor, got another within x_rwkvag"},
}

func TestGGMFBroken(t *testing.T) {
	if _, err := weights.Parse("sound", layered()); err != nil {
		t.Fatal("the file that is varied is broken itself:", err)
	}
	for _, b := range brokenGGMF {
		t.Run(b.name, func(t *testing.T) { b.check(t, 1) })
	}
}

// Files of very many tensors cost a bounded amount.
func TestGGMFHuge(t *testing.T) {
	many := func(n int, name string, dims ...int32) []byte {
		tensors := make([]weightstest.GGMFTensor, n)
		for i := range tensors {
			id := strings.Repeat("n", 200) + string(binary.BigEndian.AppendUint32(nil, uint32(i&0x7f|i>>7&0x7f<<8|i>>14&0x7f<<16)))
			tensors[i] = plainTensor(strings.Replace(name, "ID", id, 1), dims...)
		}
		return soundGGMF.File(tensors...)
	}
	broken{"tensors", many(33_000, "ID", 1), "size: want at most 32768 tensors, got more"}.check(t, 60)
	broken{"mixes", many(32_000, "blocks.0.att.x_rwkvag", 1, 1, 6), "tensor blocks.0.att.x_rwkvag: name: want one tensor, got two"}.check(t, 1)
	var packed []weightstest.GGMFTensor
	for i := range 6000 {
		packed = append(packed, plainTensor("blocks."+strings.Repeat("0", i%200)+string(rune('0'+i/1000))+strings.Repeat("1", i/200)+".att.x_rwkvag", 1, 1, 6))
	}
	data := weightstest.GGMF{Version: 101, Vocab: 1, Embed: 1, Layers: 1}.File(packed...)
	if _, used := allocated(func() { _, _ = weights.Parse("packed", data) }); used > 60<<20 {
		t.Errorf("%d packed mixes cost %d MiB", len(packed), used>>20)
	}
}

// A file cut anywhere is refused: either a tensor is cut or a layer is missing. Only the tensors after the last layer
// may be missing whole, as the model will say.
func TestGGMFTruncated(t *testing.T) {
	original := weightstest.RWKV7(small, tensor.F16, 1)
	data := head(small, 101).File(weightstest.RWKVCpp(original)...)
	layer := bytes.Index(data, []byte("blocks.0.ffn.value.weight"))
	for cut := range len(data) {
		f, err := weights.Parse("cut.bin", data[:cut])
		if err != nil {
			wantError(t, err, "cut.bin: ")
			continue
		}
		if len(f.Tensors) >= len(original) || cut < layer && f.Tensors["blocks.0.ln0.weight"] == nil {
			t.Fatalf("a file cut at %d of %d opened with %d tensors", cut, len(data), len(f.Tensors))
		}
	}
}
