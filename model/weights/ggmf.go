package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// ggmfTypes are the numbers that rwkv.cpp's files give the storage types. 4, 5 and 6 were withdrawn.
var ggmfTypes = map[int32]tensor.Type{
	0: tensor.F32, 1: tensor.F16, 2: tensor.Q4_0, 3: tensor.Q4_1, 7: tensor.Q5_0, 8: tensor.Q5_1, 9: tensor.Q8_0,
}

// ggmf is the state of reading a file of rwkv.cpp: magic, version, vocabulary, width, layers and type as 32-bit
// numbers; then up to the end of the file, for each tensor, its rank, name length and type, its dimensions from the
// innermost out, the name and the data, all without padding.
type ggmf struct {
	data                 []byte
	at                   int
	version              int32
	vocab, embed, layers int32
	typ                  tensor.Type
	tensors              []*tensor.Tensor
	seen                 map[string]bool
}

func readGGMF(data []byte) (contents, error) {
	g := &ggmf{data: data, seen: map[string]bool{}}
	if err := g.header(); err != nil {
		return contents{}, err
	}
	for g.at < len(data) {
		if len(g.tensors) == maxTensors {
			return contents{}, &Error{Field: "size", Want: fmt.Sprintf("at most %d tensors", maxTensors), Got: "more"}
		}
		if err := g.tensor(); err != nil {
			return contents{}, err
		}
	}
	if err := g.checkHeader(); err != nil {
		return contents{}, err
	}
	c, err := rwkvCpp(g.tensors)
	c.layout = "rwkv.cpp"
	c.meta = map[string]string{"version": fmt.Sprint(g.version), "data_type": g.typ.String()}
	return c, err
}

func (g *ggmf) header() error {
	const size = 24
	if len(g.data) < size {
		return &Error{Field: "header", Want: fmt.Sprintf("%d bytes", size), Got: fmt.Sprintf("%d (truncated file?)", len(g.data))}
	}
	g.at = 4 // after the magic, by which the format was known
	g.version = g.int32()
	if g.version != 100 && g.version != 101 {
		return &Error{Field: "version", Want: "100 or 101", Got: fmt.Sprint(g.version)}
	}
	for _, f := range []struct {
		name string
		n    *int32
	}{{"n_vocab", &g.vocab}, {"n_embed", &g.embed}, {"n_layer", &g.layers}} {
		if *f.n = g.int32(); *f.n < 1 {
			return &Error{Field: f.name, Want: "1 or more", Got: fmt.Sprint(*f.n)}
		}
	}
	var err error
	g.typ, err = g.dataType(g.int32())
	return err
}

// int32 reads the next number, which the caller knows to be there.
func (g *ggmf) int32() int32 {
	g.at += 4
	return int32(binary.LittleEndian.Uint32(g.data[g.at-4:]))
}

func (g *ggmf) dataType(n int32) (tensor.Type, error) {
	typ, ok := ggmfTypes[n]
	switch {
	case n >= 4 && n <= 6:
		return 0, &Error{Field: "data_type", Want: "F32, F16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0", Got: fmt.Sprintf("%d, which was withdrawn", n)}
	case !ok:
		return 0, &Error{Field: "data_type", Want: "0 F32, 1 F16, 2 Q4_0, 3 Q4_1, 7 Q5_0, 8 Q5_1 or 9 Q8_0", Got: fmt.Sprint(n)}
	case g.version == 100 && typ.IsBlock():
		return 0, &Error{Field: "data_type", Want: "F32 or F16 in a file of version 100", Got: typ.String() + " (its blocks had another layout then)"}
	}
	return typ, nil
}

// tensor reads the next tensor.
func (g *ggmf) tensor() error {
	const fixed = 12
	begin, room := g.at, len(g.data)-g.at
	fail := func(field, want, got string) error {
		return &Error{Field: fmt.Sprintf("tensor at byte %d: %s", begin, field), Want: want, Got: got}
	}
	if room < fixed {
		return fail("header", fmt.Sprintf("%d bytes", fixed), fmt.Sprintf("%d (truncated file, or something after its end)", room))
	}
	rank, length, number := g.int32(), g.int32(), g.int32()
	if rank < 1 || rank > 3 {
		return fail("rank", "1 to 3", fmt.Sprint(rank))
	}
	if length < 1 || length > maxName {
		return fail("name length", fmt.Sprintf("1 to %d", maxName), fmt.Sprint(length))
	}
	if need := 4*int(rank) + int(length); len(g.data)-g.at < need {
		return fail("dimensions and name", fmt.Sprintf("%d bytes", need), fmt.Sprintf("%d (truncated file?)", len(g.data)-g.at))
	}
	shape := make([]int, rank)
	for i := range shape {
		shape[len(shape)-1-i] = int(g.int32())
	}
	name := string(g.data[g.at : g.at+int(length)])
	g.at += int(length)
	if !utf8.ValidString(name) {
		return fail("name", "UTF-8", strconv.Quote(name))
	}
	if g.seen[name] {
		return &Error{Tensor: name, Field: "name", Want: "one tensor", Got: "two"}
	}
	g.seen[name] = true
	typ, err := g.dataType(number)
	if err != nil {
		return inTensor(name, err)
	}
	size, err := ggmfSize(typ, shape, len(g.data)-g.at)
	if err != nil {
		return inTensor(name, err)
	}
	end := g.at + size
	g.tensors = append(g.tensors, tensor.FromBytes(name, typ, shape, g.data[g.at:end:end]))
	g.at = end
	return nil
}

// ggmfSize returns the bytes of a tensor, at most room.
func ggmfSize(typ tensor.Type, shape []int, room int) (int, error) {
	elements, bytes := typ.Block()
	if last := shape[len(shape)-1]; last%elements != 0 {
		return 0, &Error{Field: "dimensions", Want: fmt.Sprintf("rows of whole %s blocks of %d", typ, elements), Got: fmt.Sprint(shape)}
	}
	most, n := room/bytes*elements, 1
	for _, d := range shape {
		if d < 1 {
			return 0, &Error{Field: "dimensions", Want: "numbers of 1 or more", Got: fmt.Sprint(shape)}
		}
		if d > most/n { // hence no overflow
			return 0, &Error{Field: "dimensions", Want: fmt.Sprintf("at most the %d bytes that follow", room), Got: fmt.Sprintf("%s%v (truncated file?)", typ, shape)}
		}
		n *= d
	}
	return typ.Bytes(n), nil
}

// checkHeader compares the header's numbers with the tensors.
func (g *ggmf) checkHeader() error {
	last := int64(-1)
	for _, t := range g.tensors {
		if t.Name == "emb.weight" && (len(t.Shape) != 2 || t.Shape[0] != int(g.vocab) || t.Shape[1] != int(g.embed)) {
			return &Error{Tensor: t.Name, Field: "dimensions", Want: fmt.Sprintf("[%d %d], as the header says", g.vocab, g.embed), Got: fmt.Sprint(t.Shape)}
		}
		if n := layerOf(t.Name); n > last {
			last = n
		}
	}
	if last+1 != int64(g.layers) {
		return &Error{Field: "n_layer", Want: fmt.Sprintf("%d, as there are tensors (truncated file?)", last+1), Got: fmt.Sprint(g.layers)}
	}
	return nil
}

// layerOf returns the N of blocks.N., or -1.
func layerOf(name string) int64 {
	m := layerPrefix.FindStringSubmatch(name)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return math.MaxInt32
	}
	return n
}
