package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

var update = flag.Bool("update", false, "write the golden file")

var testTree = tree{
	variants: "testdata/tree/shaders/variants.txt",
	reflect:  "testdata/tree/reflect",
	spv:      "testdata/tree/shaders/spv",
}

func TestGolden(t *testing.T) {
	code, err := generate(testTree)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/zbind.golden"
	if *update {
		if err := os.WriteFile(golden, code, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(code, want) {
		return
	}
	got, wanted := strings.Split(string(code), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(got), len(wanted)) {
		if got[i] != wanted[i] {
			t.Fatalf("%s:%d: want %q, got %q (run with -update if meant)", golden, i+1, wanted[i], got[i])
		}
	}
	t.Fatalf("%s: want %d lines, got %d", golden, len(wanted), len(got))
}

func TestGenerateNothing(t *testing.T) {
	code, err := write(nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(code, []byte("import")) {
		t.Errorf("no shaders: want no import, got\n%s", code)
	}
}

func TestParseVariantsErrors(t *testing.T) {
	for text, want := range map[string]string{
		"matmul":          "variants.txt:1: want SHADER VARIANT",
		"\nMatmul f16":    "variants.txt:2: shader: want lower-case",
		"matmul F16":      `variant: want lower-case letters, digits and _, or "-", got "F16"`,
		"../matmul f16":   "shader: want lower-case",
		"a b\na b X=1":    "variants.txt:2: a.b stands twice",
		"a -\na b":        `variant "-" stands beside others`,
		"a b # c\na - #d": `variant "-" stands beside others`,
	} {
		if _, err := parseVariants("x/variants.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", text, want, err)
		}
	}
}

// TestCheck breaks a good shader in every way that check looks for.
func TestCheck(t *testing.T) {
	type change func(first, second *variant)
	for want, spoil := range map[string]change{
		`shader row_dot.f32: binding "X": want number 1, got 2`: func(a, _ *variant) { a.Full.Bindings[1].Number = 2 },
		`binding "y": readonly and writeonly at once`:           func(a, _ *variant) { a.Full.Bindings[2].Access = 0 },
		`push constant "cols": want offset 4, got 8`:            func(a, _ *variant) { a.Full.Push[1].Offset = 8 },
		`push constants: want 128 bytes or fewer, got 132`: func(a, _ *variant) {
			for i := len(a.Full.Push); i < 33; i++ {
				a.Full.Push = append(a.Full.Push, spirv.Member{Name: "p", Offset: 4 * i})
			}
		},
		`push constant "cols": want uint, int or float, got float16_t`: func(a, _ *variant) {
			a.Full.Push[1].Type, a.Full.Push[1].GLSL = spirv.Other, "float16_t"
		},
		`push constant "cols": want uint, int or float, got bool`: func(a, _ *variant) {
			a.Full.Push[1].Type, a.Full.Push[1].GLSL = spirv.Bool, "bool"
		},
		`specialization constant "EPSILON": want uint, int, float or bool, got float64_t`: func(a, _ *variant) {
			a.Full.Spec[2].Type, a.Full.Spec[2].GLSL = spirv.Other, "float64_t"
		},
		`specialization constant "EPSILON": want id 2, got 7`: func(a, _ *variant) { a.Full.Spec[2].ID = 7 },
		`binding "w": no texel format is known for u64textureBuffer`: func(a, _ *variant) {
			a.Full.Bindings[0] = spirv.Binding{Name: "w", Kind: spirv.UniformTexel, Access: spirv.Read, Element: "u64textureBuffer"}
		},
		`binding "w": want a format of textureBuffer (rgba32f, r32f), got "r32ui"`: func(a, _ *variant) {
			a.Formats["w"] = "r32ui"
			a.Full.Bindings[0] = spirv.Binding{Name: "w", Kind: spirv.UniformTexel, Access: spirv.Read, Element: "textureBuffer"}
		},
		`variants.txt: "y" is given a format and is no texel`:  func(a, _ *variant) { a.Formats["y"] = "r32ui" },
		`specialization constant 2: has no name`:               func(a, _ *variant) { a.Full.Spec[2].Name = "" },
		`optimised: binding 9 is not in the source`:            func(a, _ *variant) { a.Lean.Bindings[0].Number = 9 },
		`optimised: binding "y": want storage buffer, read`:    func(a, _ *variant) { a.Full.Bindings[2].Access = spirv.Read },
		`optimised: push constants: want 16 bytes or fewer`:    func(a, _ *variant) { a.Lean.Push[3].Offset = 16 },
		`optimised: specialization constant 3: not as in the`:  func(a, _ *variant) { a.Lean.Spec[3].Type = spirv.Float },
		`optimised: workgroup size y: want 1, got 2`:           func(a, _ *variant) { a.Lean.LocalSize[1].Value = 2 },
		`optimised: workgroup size x: want spec 0 (32), got 1`: func(a, _ *variant) { a.Lean.LocalSize[0] = spirv.Size{Value: 1, Spec: -1} },
		`row_dot.f16: want as many bindings, push and`:         func(_, b *variant) { b.Full.Bindings = b.Full.Bindings[:3]; b.Lean.Bindings = nil },
		`row_dot.f16: binding 1: want "X", read as in`:         func(_, b *variant) { b.Full.Bindings[1].Name = "z" },
		`row_dot.f16: push constant 3: want int "first_row"`:   func(_, b *variant) { b.Full.Push[3].Type = spirv.Uint },
		`row_dot.f16: specialization constant 3: want int "row_shift" = -2 as in row_dot.f32; got int "row_shift" = 5`: func(_, b *variant) {
			b.Full.Spec[3].Default = 5
		},
	} {
		s := load(t, 0)
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		spoil(s.Variants[0], s.Variants[1])
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// load returns one shader of the test tree.
func load(t *testing.T, i int) *shader {
	t.Helper()
	text, err := os.ReadFile(testTree.variants)
	if err != nil {
		t.Fatal(err)
	}
	shaders, err := parseVariants(testTree.variants, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := shaders[i].load(testTree); err != nil {
		t.Fatal(err)
	}
	return shaders[i]
}

func TestMissingModule(t *testing.T) {
	empty := tree{variants: testTree.variants, reflect: t.TempDir(), spv: testTree.spv}
	_, err := generate(empty)
	if err == nil || !strings.Contains(err.Error(), "row_dot.f32") || !strings.Contains(err.Error(), "cmake -P") {
		t.Errorf("want an error that names the module and the command, got %v", err)
	}
}

func TestIdentifiers(t *testing.T) {
	m := module{Full: &spirv.Module{}}
	for want, s := range map[string]*shader{
		`both need the Go name ArgsArgs`: nil,
		`shader a: push constants: "x_r" and "xR" both become XR`: {Name: "a", Variants: []*variant{{module: module{
			Full: &spirv.Module{Push: []spirv.Member{{Name: "x_r"}, {Name: "xR"}}}}}}},
		`shader a: bindings: "_" makes no exported Go name`: {Name: "a", Variants: []*variant{{module: module{
			Full: &spirv.Module{Bindings: []spirv.Binding{{Name: "_"}}}}}}},
	} {
		list := []*shader{s}
		if s == nil { // shader args has ArgsArgs, and so has variant args of shader args
			list = []*shader{{Name: "args", Variants: []*variant{{Name: "args", module: m}}}}
		}
		if err := checkIdentifiers(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for name, want := range map[string]string{
		"matmul_vec": "MatmulVec", "ROWS_PER_GROUP": "RowsPerGroup", "rowsPerGroup": "RowsPerGroup", "w1": "W1",
		"LOCAL": "Local", "x_r": "XR", "wkv7": "Wkv7", "_a__b": "AB", "": "",
	} {
		if got := exported(name); got != want {
			t.Errorf("exported(%q): want %q, got %q", name, want, got)
		}
	}
}

func TestLiteral(t *testing.T) {
	for want, c := range map[string]spirv.Constant{
		"1e-05":      {Type: spirv.Float, Default: 0x3727c5ac},
		"-2":         {Type: spirv.Int, Default: 0xfffffffe},
		"4294967294": {Type: spirv.Uint, Default: 0xfffffffe},
		"true":       {Type: spirv.Bool, Default: 1},
	} {
		if got := literal(c); got != want {
			t.Errorf("literal(%v): want %s, got %s", c, want, got)
		}
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(filepath.FromSlash(from))); err != nil {
		t.Fatal(err)
	}
}
