package weights

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Names of GGUF metadata that decide how a file is read.
const (
	ggufArchitecture = "general.architecture"
	ggufAlignment    = "general.alignment"
	ggufSplits       = "split.count"
	ggufTotal        = "split.tensors.count"
)

const (
	maxKeys      = 1 << 14 // entries of metadata; files have about 30
	ggufFormat   = "GGUF"
	maxAlignment = 1 << 20 // bytes; files have 32
	maxGGUFDims  = 4
)

// ggufTypes are the tensor types that can be read, by ggml's number.
var ggufTypes = map[uint32]tensor.Type{
	0: tensor.F32, 1: tensor.F16, 2: tensor.Q4_0, 3: tensor.Q4_1, 6: tensor.Q5_0, 7: tensor.Q5_1, 8: tensor.Q8_0,
	11: tensor.Q3_K, 12: tensor.Q4_K, 13: tensor.Q5_K, 14: tensor.Q6_K, 20: tensor.IQ4_NL, 30: tensor.BF16,
}

// ggufOtherTypes names those that cannot.
var ggufOtherTypes = map[uint32]string{
	4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 10: "Q2_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M",
	34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}

// gguf is the state of reading one.
type gguf struct {
	cursor
	values    map[string]ggufValue
	alignment uint64
	tensors   []ggufTensor
	body      []byte // from the first tensor on
}

// ggufTensor is one tensor of the header; begin and end count from the start of the body. Where one of a type that is
// not read ends is not known: it takes no bytes here.
type ggufTensor struct {
	name       string
	typ        tensor.Type
	other      string // the type's name where it is not read
	shape      []int
	begin, end uint64
}

// readGGUF reads versions 2 and 3 of the format: counts of tensors and of metadata; the metadata; for each tensor name,
// dimensions (fastest first), type and offset; the data, each tensor at a multiple of general.alignment. Bytes between
// and after tensors are ignored, as ggml ignores those at the end.
func readGGUF(data []byte) (contents, error) {
	g := gguf{cursor: cursor{data: data, at: len("GGUF")}, values: map[string]ggufValue{}, alignment: 32}
	tensors, keys, err := g.counts()
	if err != nil {
		return contents{}, err
	}
	if err := g.metadata(keys); err != nil {
		return contents{}, err
	}
	if err := g.check(); err != nil {
		return contents{}, err
	}
	if err := g.headers(tensors); err != nil {
		return contents{}, err
	}
	if err := g.place(); err != nil {
		return contents{}, err
	}
	return g.contents()
}

// counts reads the version and how many tensors and keys there are.
func (g *gguf) counts() (tensors, keys int, err error) {
	version, err := g.uint32("version")
	if err != nil {
		return 0, 0, err
	}
	if big := bits.ReverseBytes32(version); big >= 1 && big <= 3 {
		return 0, 0, &Error{Field: "version", Want: "a little-endian file", Got: fmt.Sprintf("version %d in big-endian", big)}
	}
	if version != 2 && version != 3 {
		return 0, 0, &Error{Field: "version", Want: "2 or 3", Got: fmt.Sprint(version)}
	}
	nt, err := g.uint64("tensor count")
	if err != nil {
		return 0, 0, err
	}
	nk, err := g.uint64("metadata count")
	switch {
	case err != nil:
		return 0, 0, err
	case nt > maxTensors:
		return 0, 0, &Error{Field: "tensor count", Want: fmt.Sprintf("at most %d", maxTensors), Got: fmt.Sprint(nt)}
	case nk > maxKeys:
		return 0, 0, &Error{Field: "metadata count", Want: fmt.Sprintf("at most %d", maxKeys), Got: fmt.Sprint(nk)}
	}
	return int(nt), int(nk), nil
}

// metadata reads n values.
func (g *gguf) metadata(n int) error {
	for range n {
		key, err := g.ident("metadata key")
		if err != nil {
			return err
		}
		if _, ok := g.values[key]; ok {
			return &Error{Field: key, Want: "the key once", Got: "it twice"}
		}
		kind, err := g.uint32(key)
		if err != nil {
			return err
		}
		if g.values[key], err = g.value(ggufKind(kind), key); err != nil {
			return err
		}
	}
	return nil
}

// ggufHybrids are architectures of llama.cpp that put an RWKV into another model, which this engine cannot run.
var ggufHybrids = map[string]string{
	"arwkv7":     "arwkv7, a v7 inside Qwen",
	"rwkv6qwen2": "rwkv6qwen2, a v6 inside Qwen",
}

// check looks at the metadata that decides whether and how the rest can be read.
func (g *gguf) check() error {
	v, ok := g.values[ggufArchitecture]
	if !ok || v.kind != ggufString {
		return &Error{Field: ggufArchitecture, Want: "a string", Got: map[bool]string{true: v.kind.String(), false: "none"}[ok]}
	}
	if arch := string(v.data); arch != "rwkv6" && arch != "rwkv7" {
		got := fmt.Sprintf("%q", clip(arch))
		if h, ok := ggufHybrids[arch]; ok {
			got = h
		}
		return &Error{Field: ggufArchitecture, Want: "rwkv6 or rwkv7", Got: got}
	}
	if v, ok := g.values[ggufSplits]; ok {
		if n, ok := v.natural(); !ok || n > 1 {
			return &Error{Field: ggufSplits, Want: "a model in one file", Got: fmt.Sprintf("one of %s (join them with llama-gguf-split --merge)", clip(v.text()))}
		}
	}
	if v, ok := g.values[ggufAlignment]; ok {
		n, _ := v.natural()
		if v.kind != ggufUint32 || n == 0 || n&(n-1) != 0 || n > maxAlignment {
			return &Error{Field: ggufAlignment, Want: fmt.Sprintf("a uint32 that is a power of two, at most %d", maxAlignment), Got: fmt.Sprintf("%s (%s)", clip(v.text()), v.kind)}
		}
		g.alignment = n
	}
	return nil
}

// headers reads the descriptions of n tensors and finds the body.
func (g *gguf) headers(n int) error {
	seen := map[string]bool{}
	for range n {
		name, err := g.ident("tensor name")
		if err != nil {
			return err
		}
		if seen[name] {
			return &Error{Tensor: name, Field: "header", Want: "one entry", Got: "the name twice"}
		}
		seen[name] = true
		t, err := g.header()
		if err != nil {
			return inTensor(name, err)
		}
		t.name = name
		g.tensors = append(g.tensors, t)
	}
	if v, ok := g.values[ggufTotal]; ok {
		if stated, ok := v.natural(); !ok || stated != uint64(n) {
			return &Error{Field: ggufTotal, Want: fmt.Sprintf("%d, as there are tensors", n), Got: clip(v.text())}
		}
	}
	start := g.aligned(uint64(g.at))
	if start > uint64(len(g.data)) {
		if n > 0 {
			return &Error{Field: "size", Want: fmt.Sprintf("data from byte %d on", start), Got: fmt.Sprintf("%d bytes (truncated file?)", len(g.data))}
		}
		start = uint64(len(g.data))
	}
	g.body = g.data[start:]
	return nil
}

func (g *gguf) aligned(n uint64) uint64 { return (n + g.alignment - 1) &^ (g.alignment - 1) }

// header reads the description of one tensor after its name. The tensor's size in bytes and elements fits an int.
func (g *gguf) header() (t ggufTensor, err error) {
	read := func(field string, size uint64) (n uint64) {
		if err == nil && size == 4 {
			var short uint32
			short, err = g.uint32(field)
			return uint64(short)
		}
		if err == nil {
			n, err = g.uint64(field)
		}
		return n
	}
	dims := read("dimensions", 4)
	if err == nil && (dims < 1 || dims > maxGGUFDims) {
		return t, &Error{Field: "dimensions", Want: fmt.Sprintf("1 to %d", maxGGUFDims), Got: fmt.Sprint(dims)}
	}
	shape := make([]uint64, dims) // slowest first
	for i := range shape {
		shape[len(shape)-1-i] = read("shape", 8)
	}
	number := uint32(read("type", 4))
	t.begin = read("offset", 8)
	if err != nil {
		return t, err
	}
	var ok bool
	if t.typ, ok = ggufTypes[number]; !ok {
		t.other, t.end = strings.TrimSpace(fmt.Sprintf("%s (%d)", ggufOtherTypes[number], number)), t.begin
		return t, nil
	}
	err = t.measure(shape)
	return t, err
}

// measure sets the shape and the end of the tensor, whose begin is known.
func (t *ggufTensor) measure(shape []uint64) error {
	elements, bytes := t.typ.Block()
	row := shape[len(shape)-1]
	if row%uint64(elements) != 0 {
		return &Error{Field: "shape", Want: fmt.Sprintf("rows of whole %s blocks (%d elements)", t.typ, elements), Got: fmt.Sprint(shape)}
	}
	size := uint64(bytes)
	for i, d := range shape {
		n := d
		if i == len(shape)-1 {
			n /= uint64(elements)
		}
		if d == 0 {
			return &Error{Field: "shape", Want: "no dimension of 0", Got: fmt.Sprint(shape)}
		}
		if n > math.MaxInt64/1024/size { // 1024: more than elements in any byte, so that their count fits too
			return &Error{Field: "shape", Want: "a tensor that fits in memory", Got: fmt.Sprintf("%s%v", t.typ, shape)}
		}
		size *= n
		t.shape = append(t.shape, int(d))
	}
	if t.begin > math.MaxInt64-size {
		return &Error{Field: "offset", Want: "a place within the file", Got: fmt.Sprint(t.begin)}
	}
	t.end = t.begin + size
	return nil
}

// place checks that the tensors lie aligned within the body and apart from each other.
func (g *gguf) place() error {
	byPlace := slices.Clone(g.tensors)
	slices.SortFunc(byPlace, func(a, b ggufTensor) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), strings.Compare(a.name, b.name))
	})
	end, last := uint64(0), "nothing"
	for _, t := range byPlace {
		switch {
		case t.begin%g.alignment != 0:
			return &Error{Tensor: t.name, Field: "offset", Want: fmt.Sprintf("a multiple of %d", g.alignment), Got: fmt.Sprint(t.begin)}
		case t.end > uint64(len(g.body)):
			return &Error{Tensor: t.name, Field: "offset", Want: fmt.Sprintf("an end within the %d bytes of data", len(g.body)), Got: fmt.Sprintf("%s%v at %d (truncated file?)", cmp.Or(t.other, t.typ.String()), t.shape, t.begin)}
		case t.begin < end:
			return &Error{Tensor: t.name, Field: "offset", Want: fmt.Sprintf("at least %d, where %s ends", end, clip(last)), Got: fmt.Sprintf("%d (they overlap)", t.begin)}
		}
		end, last = t.end, t.name
	}
	return nil
}

// contents turns what was read into tensors, annotations and the vocabulary.
func (g *gguf) contents() (contents, error) {
	c := contents{meta: map[string]string{}}
	kept := 0
	for _, key := range slices.Sorted(maps.Keys(g.values)) {
		v := g.values[key]
		text := v.text()
		if kept += len(key) + len(text); kept > 4*maxMeta {
			text = fmt.Sprintf("(%d bytes)", len(v.data))
		}
		c.meta[key] = text
	}
	rows := -1
	for _, t := range g.tensors {
		if t.other != "" {
			c.unread = append(c.unread, unread{t.name, t.other})
			continue
		}
		if t.name == "token_embd.weight" {
			rows = t.shape[0]
		}
		c.tensors = append(c.tensors, tensor.FromBytes(t.name, t.typ, t.shape, g.body[t.begin:t.end:t.end]))
	}
	if v, ok := g.values["rwkv6.rescale_every_n_layers"]; ok {
		n, isNatural := v.natural()
		if !isNatural || n > 1<<16 {
			return c, &Error{Field: "rwkv6.rescale_every_n_layers", Want: "a number of layers", Got: clip(v.text())}
		}
		c.rescale = int(n)
	}
	var err error
	c.vocab, err = g.vocabulary(rows)
	return c, err
}
