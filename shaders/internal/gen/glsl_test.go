package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// made is preprocessed text as the compiler gives it, with all that is looked for and much that is not.
const made = `#version 450
#line 1
layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;
const uint A = 6, B = 2 * A + 1,
           C = min(B, max(A, 0x10u)), BIG = 0xffffffffu;
const float F = -0.606531;
const uint BY_LOCAL = Local / 4, IN_ITSELF = IN_ITSELF + 1, IF = A == 6 ? 1 : 2;
struct Pair { uint x; float y; };
struct Draw { Pair p; };
struct Row {
    uint first;
    float scale[3];
    int last; uint end[A];
};
layout(binding = 0) readonly buffer Draws { Row rows[]; };
shared uint list[4 * A];
uint of(uint a, uint b) {
    const uint INSIDE = 5;
    if (a > b) { return INSIDE; }
    return a;
}
const uint AFTER = B / 4 * 4 - 7 % 4;
void main() { uint A = of(1, 2); }
const uint LAST = (A + 1) * ROWS;
`

func TestSource(t *testing.T) {
	s, err := parseSource(made, []string{"W_F32=1", "ROWS=8", "NAMED=other", "PLAIN"})
	if err != nil {
		t.Fatal(err)
	}
	for expr, want := range map[string]string{
		"A": "6", "B": "13", "C": "13", "4*C+1": "53", "BIG": "0xffffffff", "F": "-0.606531", "AFTER": "9", "LAST": "56", "ROWS": "8", "W_F32": "1",
		"2.5*2": "5", "-A": "-6", "max(A,7)": "7",
	} {
		if got, err := s.value(expr); got != want || err != nil {
			t.Errorf("%s: want %s, got %s (%v)", expr, want, got, err)
		}
	}
	for expr, want := range map[string]string{
		"INSIDE": "INSIDE: no constant that the source fixes", "Local": "no constant", "BY_LOCAL": "Local: no constant", "IN_ITSELF": "a constant that stands in itself",
		"IF": "no expression", "A/0": "not computed here", "A<<1": "not computed here", "abs(A)": "want numbers", "NAMED": "no constant", "A+": "no expression",
		"F%2": "not computed here", `"x"`: "want numbers",
	} {
		if got, err := s.value(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %s (%v)", expr, want, got, err)
		}
	}
	want := structure{Words: 11, Fields: []field{{"First", "first", "uint32", 0}, {"Scale", "scale", "float32", 3}, {"Last", "last", "int32", 0}, {"End", "end", "uint32", 6}}}
	if got, err := s.structure("Row"); !reflect.DeepEqual(got, want) || err != nil {
		t.Errorf("want %v, got %v (%v)", want, got, err)
	}
	for name, want := range map[string]string{"Draw": `want members of uint, int or float, got "Pair p"`, "None": "no struct None"} {
		if _, err := s.structure(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", name, want, err)
		}
	}
	if _, err := parseSource("const uint A = 1; const uint A = 2;", nil); err == nil || !strings.Contains(err.Error(), "constant A: want one value") {
		t.Errorf("two values of one constant: %v", err)
	}
}

func TestParseWanted(t *testing.T) {
	list, err := parseWanted("x/glsl.txt", "# all\n\na.b N+1 Name # of it\na struct:Part Part\n")
	if want := []wanted{{3, "a.b", "N+1", "Name", "of it"}, {4, "a", "struct:Part", "Part", ""}}; !reflect.DeepEqual(list, want) || err != nil {
		t.Errorf("want %v, got %v (%v)", want, list, err)
	}
	for text, want := range map[string]string{
		"a N":                "glsl.txt:1: want MODULE EXPRESSION NAME",
		"a N + 1 Name":       "want MODULE EXPRESSION NAME",
		"a N name":           `glsl.txt:1: name: want a Go name that stands once, got "name"`,
		"a N Name\na M Name": `glsl.txt:2: name: want a Go name that stands once, got "Name"`,
	} {
		if _, err := parseWanted("x/glsl.txt", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: want an error with %q, got %v", text, want, err)
		}
	}
}

// The file that is committed is what the sources say, whatever the compiler's version is.
func TestSharedCurrent(t *testing.T) {
	needTools(t)
	root := reference.Root(t)
	at := func(parts ...string) string { return filepath.Join(append([]string{root, "shaders"}, parts...)...) }
	from := tree{variants: at("variants.txt"), glsl: at("glsl.txt"), spv: at("spv")}
	code, err := generateShared(from)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(at("glsl", "zglsl.go"), code, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(at("glsl", "zglsl.go"))
	if err != nil || !bytes.Equal(have, code) {
		t.Errorf("shaders/glsl/zglsl.go is not what the shaders' sources say (%v)", err)
	}
	for line, want := range map[string]string{
		"none.f32 N Name": "glsl.txt:1: Name: no module \"none.f32\" in variants.txt",
		"matmul_vec.f32,matmul_bcast.f32 MAX_TOKENS Name": "glsl.txt:1: Name: matmul_bcast.f32: want 8 as in matmul_vec.f32, got 16",
		"matmul_vec.f32 NOWHERE Name":                     "glsl.txt:1: Name: NOWHERE: no constant that the source fixes",
		"matmul_vec.f32 struct:No Name":                   "glsl.txt:1: Name: no struct No",
	} {
		bad := filepath.Join(t.TempDir(), "glsl.txt")
		if err := os.WriteFile(bad, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		from.glsl = bad
		if _, err := generateShared(from); err == nil || err.Error() != want {
			t.Errorf("%s: want %q, got %v", line, want, err)
		}
	}
}
