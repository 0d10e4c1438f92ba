package spirv

import (
	"bytes"
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
		{0, "Bytes", StorageBuffer, Read, false, "int8_t"},
		{1, "texels", UniformTexel, Read, false, "itextureBuffer"},
		{2, "result", StorageBuffer, Write, false, "f16vec4"},
		{3, "halves", StorageBuffer, Read, false, "float16_t"},
		{4, "head", StorageBuffer, ReadWrite, false, "{uint count; float[] rest}"},
		{5, "blocks", StorageBuffer, Read, false, "Block"},
		{6, "w", StorageBuffer, Read, false, "uint"},
		{7, "both", StorageBuffer, ReadWrite, false, "{uint a; uint[2] b; matrix of 4 vec4 m}"},
		{8, "plain", UniformTexel, Read, false, "textureBuffer"},
		{9, "wide", StorageBuffer, Read, false, "int64_t"},
	},
	LocalSize:    fixed(4, 2, 1),
	Capabilities: []Capability{Shader, 9, 11, 39, 46, 4433, 4448},
	Version:      MakeVersion(1, 3),
}

var constants = Module{
	EntryPoint: "main",
	Bindings:   []Binding{{0, "Y", StorageBuffer, ReadWrite, false, "float"}},
	Push:       []Member{{"from", 0, Int, "int"}, {"rows", 4, Uint, "uint"}, {"scale", 8, Float, "float"}},
	Spec: []Constant{
		{0, "EPS", Float, "float", math.Float32bits(0.5)},
		{1, "FLAG", Bool, "bool", 1},
		{2, "LOCAL", Uint, "uint", 64},
		{3, "NEG", Int, "int", 1<<32 - 3},
		{4, "OFF", Bool, "bool", 0},
		{5, "local_z", Uint, "uint", 1},
	},
	LocalSize:    [3]Size{{64, 2}, {3, -1}, {1, 5}},
	Capabilities: []Capability{Shader, 61, 65},
	Version:      MakeVersion(1, 3),
}

func TestParse(t *testing.T) {
	old, late := kinds, constants
	old.Capabilities = slices.Clone(kinds.Capabilities)
	old.Capabilities[6], old.Version = 4449, MakeVersion(1, 0)
	late.Version = MakeVersion(1, 6)
	for name, want := range map[string]Module{
		"kinds":           kinds,
		"kinds_spv10":     old,
		"constants":       constants,
		"constants_spv16": late,
		"plain":           {EntryPoint: "main", LocalSize: fixed(64, 1, 1), Capabilities: []Capability{Shader}, Version: MakeVersion(1, 3)},
	} {
		got, err := Parse(read(t, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.declared = nil; !reflect.DeepEqual(*got, want) {
			t.Errorf("%s:\nwant %+v\n got %+v", name, want, *got)
		}
	}
	if got := kinds.PushBytes() + constants.PushBytes(); got != 12 {
		t.Errorf("push bytes: want 12, got %d", got)
	}
}

// Constants of types that no caller here can set are told by name.
func TestParseOther(t *testing.T) {
	half, vec, wide := parsed(t, "other_pushhalf"), parsed(t, "other_pushvec"), parsed(t, "other_spec")
	if want := (Member{"ratio", 0, Other, "float16_t"}); half.Push[0] != want {
		t.Errorf("want %v, got %v", want, half.Push[0])
	}
	if want := (Member{"shift", 0, Other, "vec4"}); vec.Push[0] != want {
		t.Errorf("want %v, got %v", want, vec.Push[0])
	}
	if c := wide.Spec[0]; c.Name != "WIDE" || c.Type != Other || c.GLSL != "float64_t" {
		t.Errorf("want WIDE of float64_t, got %v", c)
	}
}

func parsed(t *testing.T, name string) *Module {
	t.Helper()
	m, err := Parse(read(t, name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// What gpu's own shaders declare, without names as the optimiser left them, and under specializations. What cannot be
// told is 0.
func TestUnderSpecialization(t *testing.T) {
	buffer, texel := Binding{Kind: StorageBuffer}, Binding{Kind: UniformTexel}
	for _, c := range []struct {
		file     string
		spec     []uint32
		local    [3]int
		shared   int
		bindings []Binding
		needs    Capability
	}{
		{"saxpy", []uint32{48}, [3]int{48, 1, 1}, 0, []Binding{buffer, buffer}, Shader},
		{"saxpy", nil, [3]int{1, 1, 1}, 0, []Binding{buffer, buffer}, Shader},
		{"next", nil, [3]int{32, 1, 1}, 0, []Binding{buffer, buffer}, Shader},
		{"echo", []uint32{4, 2, 100}, [3]int{4, 2, 1}, 400, []Binding{buffer}, Shader},
		{"echo", []uint32{4, 2}, [3]int{4, 2, 1}, 28, []Binding{buffer}, Shader},
		{"echo", []uint32{1, 1, 1 << 31}, [3]int{1, 1, 1}, 4 << 31, []Binding{buffer}, Shader},
		{"texel", nil, [3]int{32, 1, 1}, 0, []Binding{texel, buffer}, 46},
		{"subgroup", []uint32{8}, [3]int{8, 1, 1}, 0, []Binding{buffer}, 63},
		{"half", nil, [3]int{32, 1, 1}, 0, []Binding{buffer}, 9},
	} {
		m := parsed(t, "../../../gpu/testdata/"+c.file)
		if local, shared := m.LocalSizeWith(c.spec), m.SharedBytes(c.spec); local != c.local || shared != c.shared || len(m.Bindings) != len(c.bindings) {
			t.Errorf("%s %v: local %v, shared %d, bindings %v; want %v, %d, %v", c.file, c.spec, local, shared, m.Bindings, c.local, c.shared, c.bindings)
			continue
		}
		for i, b := range m.Bindings {
			if b.Number != i || b.Kind != c.bindings[i].Kind || b.Aliased {
				t.Errorf("%s: binding %d is %v, want a %s", c.file, i, b, c.bindings[i].Kind)
			}
		}
		if !slices.Contains(m.Capabilities, c.needs) {
			t.Errorf("%s: capabilities %v, want %s among them", c.file, m.Capabilities, c.needs)
		}
	}
}

// An image is a uniform texel buffer if it is one of a buffer and read through the texture path, and else no binding.
func TestParseImages(t *testing.T) {
	for _, c := range []struct {
		what string
		arg  int // of the image's type
		is   uint32
		ok   bool
	}{
		{"as it is", 2, dimBuffer, true}, {"of two dimensions", 2, 1, false},
		{"read and written", 6, 2, false}, {"of either kind", 6, 0, false},
	} {
		code, err := Decode(read(t, "../../../gpu/testdata/texel"))
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range code.Instructions {
			if in.Op == opTypeImage {
				in.Args[c.arg] = c.is
			}
		}
		if _, err := Parse(code.Encode()); (err == nil) != c.ok {
			t.Errorf("an image %s: want success %t, got %v", c.what, c.ok, err)
		}
	}
}

// Every capability of the table has a name of its own and asks for something; what is not in it asks for what no device
// has.
func TestCapabilities(t *testing.T) {
	names, asked := map[string]bool{}, map[Feature]bool{}
	for c, row := range capabilities {
		if names[row.name] || len(row.needs) == 0 || c.String() != row.name {
			t.Errorf("%d: %q, %v", c, row.name, row.needs)
		}
		names[row.name] = true
		for _, f := range c.Needs() {
			asked[f] = true
		}
	}
	if len(asked) != len(Features) {
		t.Errorf("want every one of %d features asked for, got %v", len(Features), asked)
	}
	if c := Capability(77); c.String() != "Capability77" || !slices.Equal(c.Needs(), []Feature{Never}) {
		t.Errorf("an unknown capability: %s needs %v", c, c.Needs())
	}
	if needs := CooperativeMatrixNV.Needs(); !slices.Equal(needs, []Feature{Never}) {
		t.Errorf("no device takes the older matrices, got %v", needs)
	}
}

func TestParseErrors(t *testing.T) {
	for name, want := range map[string]string{
		"array":       `binding "many": want a storage buffer or a textureBuffer, got storage class 12 with Many[4]`,
		"image":       `binding "picture": want a storage buffer or a textureBuffer, got storage class 0 with image of float`,
		"imagebuffer": `binding "line": want a storage buffer or a textureBuffer, got storage class 0 with image of float`,
		"mixed":       `binding 0: Y is a storage buffer and view a uniform texel buffer`,
		"sampler":     `binding "line": want a storage buffer or a textureBuffer, got storage class 0 with sampler of image of float`,
		"set":         `binding "other": want set 0, got set 1`,
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
	for _, name := range []string{"kinds", "constants", "constants_spv16", "../../../gpu/testdata/echo"} {
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
	if n := m.SharedBytes([]uint32{1, 1 << 31, 3}); n < 0 || n > mostShared {
		tb.Fatalf("shared bytes: got %d", n)
	}
	c, err := Decode(code)
	if err != nil || !bytes.Equal(c.Encode(), code) {
		tb.Fatalf("want what was decoded encoded as it was (%v)", err)
	}
	c.UniformFlow()
	_ = c.KHRMatrices() // which may refuse it
	if _, err := Decode(c.Encode()); err != nil {
		tb.Fatalf("want a rewritten module whole, got %v", err)
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
