package spirv

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func read(tb testing.TB, name string) []byte {
	tb.Helper()
	code, err := os.ReadFile(filepath.Join("testdata", name+".spv"))
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

func fixed(x, y, z uint32) [3]Size { return [3]Size{{x, -1}, {y, -1}, {z, -1}} }

var kinds = Module{
	EntryPoint: "main",
	Bindings: []Binding{
		{0, "Bytes", StorageBuffer, Read, "int8_t"},
		{1, "texels", UniformTexel, Read, "itextureBuffer"},
		{2, "result", StorageBuffer, Write, "f16vec4"},
		{3, "halves", StorageBuffer, Read, "float16_t"},
		{4, "head", StorageBuffer, ReadWrite, "{uint count; float[] rest}"},
		{5, "blocks", StorageBuffer, Read, "Block"},
		{6, "w", StorageBuffer, Read, "uint"},
		{7, "both", StorageBuffer, ReadWrite, "{uint a; uint[2] b; matrix of 4 vec4 m}"},
		{8, "plain", UniformTexel, Read, "textureBuffer"},
		{9, "wide", StorageBuffer, Read, "int64_t"},
	},
	LocalSize: fixed(4, 2, 1),
	Capabilities: []string{"Float16", "Int64", "Int8", "SampledBuffer", "Shader", "StorageBuffer16BitAccess",
		"StorageBuffer8BitAccess"},
}

var constants = Module{
	EntryPoint: "main",
	Bindings:   []Binding{{0, "Y", StorageBuffer, ReadWrite, "float"}},
	Push:       []Member{{"from", 0, Int}, {"rows", 4, Uint}, {"scale", 8, Float}},
	Spec: []Constant{
		{0, "EPS", Float, math.Float32bits(0.5)},
		{1, "FLAG", Bool, 1},
		{2, "LOCAL", Uint, 64},
		{3, "NEG", Int, 1<<32 - 3},
		{4, "OFF", Bool, 0},
		{5, "local_z", Uint, 1},
	},
	LocalSize:    [3]Size{{64, 2}, {3, -1}, {1, 5}},
	Capabilities: []string{"GroupNonUniform", "GroupNonUniformShuffle", "Shader"},
}

func TestParse(t *testing.T) {
	old := kinds
	old.Capabilities = slices.Clone(kinds.Capabilities)
	old.Capabilities[6] = "UniformAndStorageBuffer8BitAccess"
	for name, want := range map[string]Module{
		"kinds":           kinds,
		"kinds_spv10":     old,
		"constants":       constants,
		"constants_spv16": constants,
		"plain":           {EntryPoint: "main", LocalSize: fixed(64, 1, 1), Capabilities: []string{"Shader"}},
	} {
		got, err := Parse(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s:\nwant %+v\n got %+v", name, want, *got)
		}
	}
	if got := kinds.PushBytes() + constants.PushBytes(); got != 12 {
		t.Errorf("push bytes: want 12, got %d", got)
	}
}

func TestParseErrors(t *testing.T) {
	for name, want := range map[string]string{
		"array":       `binding "many": want a storage buffer or a textureBuffer, got storage class 12 with Many[4]`,
		"image":       `binding "picture": want a storage buffer or a textureBuffer, got storage class 0 with image of float`,
		"imagebuffer": `binding "line": want a storage buffer or a textureBuffer, got storage class 0 with image of float`,
		"mixed":       `binding 0: Y is a storage buffer and view a uniform texel buffer`,
		"pushhalf":    `push constant "ratio": want uint, int or float, got float16_t`,
		"pushvec":     `push constant "shift": want uint, int or float, got vec4`,
		"sampler":     `binding "line": want a storage buffer or a textureBuffer, got storage class 0 with sampler of image of float`,
		"set":         `binding "other": want set 0, got set 1`,
		"spec":        `specialization constant 0 "WIDE": want uint, int, float or bool, got float64_t`,
		"stage":       `entry point "main": execution model: want GLCompute (5), got 4`,
		"uniform":     `binding "params": want a storage buffer or a textureBuffer, got storage class 2 with Params`,
	} {
		if _, err := Parse(read(t, "bad_"+name)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: want error %q, got %v", name, want, err)
		}
	}
}

func TestParseDamaged(t *testing.T) {
	good := read(t, "kinds")
	patch := func(word int, value uint32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[4*word:], value)
		return b
	}
	for want, code := range map[string][]byte{
		"length: want whole words and a header of 5 of them, got 0 bytes":     nil,
		"length: want whole words and a header of 5 of them, got 4527 bytes":  good[:len(good)-1],
		"magic number: want 0x07230203, got 0x03022307":                       patch(0, 0x03022307),
		"instruction at word 5: length: want 1 to 1127, got 0":                patch(5, 17),
		"instruction at word 5: length: want 1 to 1127, got 65535":            patch(5, 0xffff0011),
		"instruction at word 5: operands of opcode 17: want 1 or more, got 0": patch(5, 0x10011),
		"entry points: want 1, got 0":                                         good[:20],
	} {
		if _, err := Parse(code); err == nil || err.Error() != "spirv: "+want {
			t.Errorf("want error %q, got %v", "spirv: "+want, err)
		}
	}
}

// TestParseHostile changes every word of good modules in several ways: each gives a module or an error.
func TestParseHostile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"kinds", "constants", "constants_spv16"} {
		good := read(t, name)
		for at := 0; at+4 <= len(good); at += 4 {
			_, _ = Parse(good[:at])
			old := binary.LittleEndian.Uint32(good[at:])
			for _, value := range []uint32{0, 1, 0xffffffff, old + 1, old - 1, old ^ 1<<16, rnd.Uint32(), rnd.Uint32N(100)} {
				b := slices.Clone(good)
				binary.LittleEndian.PutUint32(b[at:], value)
				mustHold(t, b)
			}
		}
	}
}

// mustHold parses code and wants of an accepted module what its documentation promises.
func mustHold(tb testing.TB, code []byte) {
	m, err := Parse(code)
	if err != nil {
		if m != nil || !strings.HasPrefix(err.Error(), "spirv: ") {
			tb.Fatalf("want no module and an error of spirv, got %v, %v", m, err)
		}
		return
	}
	for i, b := range m.Bindings {
		if i > 0 && b.Number <= m.Bindings[i-1].Number {
			tb.Fatalf("bindings out of order: %v", m.Bindings)
		}
	}
	for i, c := range m.Spec {
		if i > 0 && c.ID <= m.Spec[i-1].ID {
			tb.Fatalf("specialization constants out of order: %v", m.Spec)
		}
	}
	for _, l := range m.LocalSize {
		if l.Spec >= 0 && !slices.ContainsFunc(m.Spec, func(c Constant) bool { return c.ID == l.Spec }) {
			tb.Fatalf("workgroup size %v: no such constant in %v", l, m.Spec)
		}
	}
	if n := m.PushBytes(); n < 0 || n > maxNumber+4 {
		tb.Fatalf("push bytes: got %d", n)
	}
}

func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.spv")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds in testdata")
	}
	for _, path := range seeds {
		code, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) { mustHold(t, code) })
}
