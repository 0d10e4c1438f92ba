package tensor

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

var update = flag.Bool("update", false, "write testdata/blocks.txt from the oracle")

// Random blocks of every type decode to the bits that the oracle wrote them from.
func TestDecodeBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, typ := range BlockTypes {
		n, size := typ.Block()
		for range 400 {
			b := randomBlock(rng, typ)
			data := b.bytes()
			if len(data) != size || len(b.weights) != n {
				t.Fatalf("%s: oracle block of %d elements in %d bytes, want %d in %d", typ, len(b.weights), len(data), n, size)
			}
			count := 1 + rng.IntN(n) // a part of a block decodes too
			got := make([]float32, count)
			typ.Decode(got, data)
			for i, f := range got {
				if math.Float32bits(f) != math.Float32bits(b.value(i)) {
					t.Fatalf("%s element %d of % x: want %v, got %v", typ, i, data, b.value(i), f)
				}
			}
		}
	}
}

// The blocks of testdata/blocks.txt, which hold the oracle to what it once wrote, decode to the numbers beside them.
func TestGoldenBlocks(t *testing.T) {
	path := filepath.Join("testdata", "blocks.txt")
	if *update {
		if err := os.WriteFile(path, goldenBlocks(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, goldenBlocks()) {
		t.Error("the oracle no longer writes testdata/blocks.txt")
	}
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	seen := map[Type]int{}
	for _, line := range lines[1:] {
		var name, blockHex, valueHex string
		if _, err := fmt.Sscan(line, &name, &blockHex, &valueHex); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		typ, ok := ParseType(name)
		data, err1 := hex.DecodeString(blockHex)
		want, err2 := hex.DecodeString(valueHex)
		if !ok || err1 != nil || err2 != nil {
			t.Fatalf("%q: %v %v %v", line, ok, err1, err2)
		}
		got, err := FromBytes("x", typ, []int{len(want) / 4}, data).Floats()
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if w := binary.BigEndian.Uint32(want[4*i:]); math.Float32bits(got[i]) != w {
				t.Errorf("%s element %d: want %08x, got %v", typ, i, w, got[i])
			}
		}
		seen[typ]++
	}
	for _, typ := range BlockTypes {
		if seen[typ] != 2 {
			t.Errorf("%s: want 2 golden blocks, got %d", typ, seen[typ])
		}
	}
}

// goldenBlocks writes two blocks of each type: bytes, and the bits of the float32 values, big-endian as people write
// numbers.
func goldenBlocks() []byte {
	rng := rand.New(rand.NewPCG(9, 10))
	out := []byte("type, block, binary32 values; written by TestGoldenBlocks -update\n")
	for _, typ := range BlockTypes {
		for range 2 {
			b := randomBlock(rng, typ)
			out = fmt.Appendf(out, "%s %x ", typ, b.bytes())
			for i := range b.weights {
				out = fmt.Appendf(out, "%08x", math.Float32bits(b.value(i)))
			}
			out = append(out, '\n')
		}
	}
	return out
}

func TestBlockSizes(t *testing.T) {
	for _, typ := range append(append([]Type{}, Types...), BlockTypes...) {
		n, size := typ.Block()
		if typ.Bytes(3*n) != 3*size || typ.Bytes(2*n+1) != 3*size || typ.Bytes(0) != 0 && n > 1 {
			t.Errorf("%s: %d elements in %d bytes, but Bytes(3 blocks) = %d", typ, n, size, typ.Bytes(3*n))
		}
		if back, ok := ParseType(typ.String()); !ok || back != typ {
			t.Errorf("%s parses as %s, %v", typ, back, ok)
		}
		if typ.IsBlock() == typ.CanEncode() || typ.IsBlock() != (n > 1) {
			t.Errorf("%s: block %v, encodes %v, %d elements", typ, typ.IsBlock(), typ.CanEncode(), n)
		}
	}
	for _, s := range []string{"", "Q2_K", "q4_0", "Type(0)"} {
		if typ, ok := ParseType(s); ok {
			t.Errorf("%q parses as %s", s, typ)
		}
	}
	if none := Type(200); none.CanEncode() || none.IsBlock() || none.String() != "Type(200)" {
		t.Errorf("%s is no type", none)
	}
}

// A scale or minimum that is not finite is reported as the first element of its block, and decodes to such a one.
func TestCheckFiniteBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, typ := range BlockTypes {
		n, size := typ.Block()
		for range 50 {
			var data []byte
			blocks := 1 + rng.IntN(5)
			for range blocks {
				data = append(data, randomBlock(rng, typ).bytes()...)
			}
			if got := typ.CheckFinite(data); got != -1 {
				t.Fatalf("%s: finite data reported bad at %d", typ, got)
			}
			at, fields := rng.IntN(blocks), halves[typ]
			field := fields[rng.IntN(len(fields))]
			binary.LittleEndian.PutUint16(data[at*size+field:], uint16(0x7c00|rng.UintN(2)<<15|rng.UintN(1024)))
			if got := typ.CheckFinite(data); got != at*n {
				t.Fatalf("%s: block %d is bad, reported at %d", typ, at, got)
			}
			bad := make([]float32, 1)
			if typ.Decode(bad, data[typ.Bytes(at*n):]); IsFinite(bad[0]) {
				t.Fatalf("%s: block %d has a bad scale but decodes to %v", typ, at, bad[0])
			}
		}
	}
}

// A tensor of blocks is transposed as F32; one whose rows are no whole blocks does not load.
func TestBlockTensor(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	for _, typ := range BlockTypes {
		n, _ := typ.Block()
		var data []byte
		for range 6 {
			data = append(data, randomBlock(rng, typ).bytes()...)
		}
		x := FromBytes("x", typ, []int{3, 2 * n}, data)
		want, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		turned := x.Transposed()
		got, err := turned.Floats()
		if err != nil || turned.Type != F32 || turned.Shape[0] != 2*n || turned.Shape[1] != 3 {
			t.Fatalf("%s: %v", turned, err)
		}
		for i, f := range want {
			if got[i%(2*n)*3+i/(2*n)] != f {
				t.Fatalf("%s: element %d moved wrongly", typ, i)
			}
		}
		for _, shape := range [][]int{{6 * n / 4, 4}, {}, {12, n / 2}} {
			if _, err := x.Reshaped(shape...).Load(); err == nil || !strings.Contains(err.Error(), "whole "+typ.String()+" blocks") {
				t.Errorf("%s %v: %v", typ, shape, err)
			}
		}
		if _, err := x.Reshaped(2*n, 3).Transposed().Load(); err == nil {
			t.Errorf("%s: a bad shape loads when transposed", typ)
		}
	}
}

// What rwkv.cpp's own quantizer wrote decodes to what it read, within the step of each block: the tiny models against
// their FP32 files, and the synthetic ones against their Q8_0 files.
func TestSharedQuantized(t *testing.T) {
	vectors := reference.Shared(t, "vectors")
	compared := map[Type]int{}
	for exact, patterns := range map[string][]string{
		"rwkv.cpp-tiny/tiny-rwkv-4v0-660K-FP32.bin": {"rwkv.cpp-tiny/tiny-rwkv-4v0-660K-Q5_?.bin"},
		"rwkv.cpp-tiny/tiny-rwkv-7v0-834K-FP32.bin": {"rwkv.cpp-tiny/tiny-rwkv-7v0-834K-Q5_?.bin"},
		"quantized/v4-C64-q/v4-C64-q.Q8_0.bin":      {"quantized/v4-C64-q/v4-C64-q.Q[45]_?.bin"},
		"quantized/v7-C64-q/v7-C64-q.Q8_0.bin":      {"quantized/v7-C64-q/v7-C64-q.Q[45]_?.bin"},
	} {
		want := readBin(t, filepath.Join(vectors, exact))
		for _, pattern := range patterns {
			files, err := filepath.Glob(filepath.Join(vectors, pattern))
			if err != nil || len(files) < 2 {
				t.Fatalf("%s: %v %v", pattern, files, err)
			}
			for _, path := range files {
				for name, x := range readBin(t, path) {
					if !x.Type.IsBlock() {
						continue
					}
					if want[name].Type == Q8_0 {
						compared[Q8_0]++
					}
					compared[x.Type]++
					checkQuantized(t, filepath.Base(path), x, want[name])
				}
			}
		}
	}
	for _, typ := range []Type{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0} {
		if compared[typ] < 20 {
			t.Errorf("%s: only %d tensors compared", typ, compared[typ])
		}
	}
}

// checkQuantized wants every element within a step of its block: the range over the number of levels, or, for the
// symmetric types, which clip the far side, the largest magnitude over half of them.
func checkQuantized(t *testing.T, file string, x, exact *Tensor) {
	t.Helper()
	got, err := x.Floats()
	want, err2 := exact.Floats()
	if err != nil || err2 != nil || len(got) != len(want) {
		t.Fatalf("%s: %s: %v %v", file, x, err, err2)
	}
	for at := 0; at < len(want); at += 32 {
		low, high := want[at], want[at]
		for _, f := range want[at : at+32] {
			low, high = min(low, f), max(high, f)
		}
		most := max(-low, high)
		step := map[Type]float32{Q4_0: most / 8, Q4_1: (high - low) / 15, Q5_0: most / 16, Q5_1: (high - low) / 31, Q8_0: most / 127}[x.Type]
		step = 1.1*step + 16*0x1p-24 // the scale itself is rounded, at worst to a multiple of the least binary16
		for i, f := range want[at : at+32] {
			if d := got[at+i] - f; d > step || -d > step {
				t.Fatalf("%s: %s element %d: want %v within %v, got %v", file, x, at+i, f, step, got[at+i])
			}
		}
	}
}

// readBin reads an rwkv.cpp file as ../shared/vectors/FORMATS.md describes it.
func readBin(t *testing.T, path string) map[string]*Tensor {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	types := map[int]Type{0: F32, 1: F16, 2: Q4_0, 3: Q4_1, 7: Q5_0, 8: Q5_1, 9: Q8_0}
	at := 24
	next := func() int {
		at += 4
		return int(binary.LittleEndian.Uint32(data[at-4:]))
	}
	tensors := map[string]*Tensor{}
	for at < len(data) {
		dims, key, typ := next(), next(), types[next()]
		shape := make([]int, dims)
		for i := range dims {
			shape[dims-1-i] = next()
		}
		name := string(data[at : at+key])
		x := FromBytes(name, typ, shape, data[at+key:])
		size := typ.Bytes(x.Len())
		tensors[name] = FromBytes(name, typ, shape, data[at+key:][:size])
		at += key + size
	}
	return tensors
}
