package shaders

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/internal/spirv"
)

// TestModules holds every embedded module, which is optimised, against the tables in zbind.go, which were read from the
// unoptimised form: it may lack what the optimiser found unused, and nothing else may differ.
func TestModules(t *testing.T) {
	for _, table := range modules {
		for i := range table {
			m := &table[i]
			t.Run(m.name, func(t *testing.T) { checkModule(t, m) })
		}
	}
}

func checkModule(t *testing.T, m *module) {
	r, err := spirv.Parse(m.spirv)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Bindings {
		if b.Number >= len(m.bindings) {
			t.Errorf("binding %d: want fewer than %d bindings", b.Number, len(m.bindings))
			continue
		}
		want := m.bindings[b.Number]
		if (b.Kind == spirv.UniformTexel) != (want.Kind == gpu.UniformTexel) {
			t.Errorf("binding %d %s: want kind %v, got %v", b.Number, want.Name, want.Kind, b.Kind)
		}
		if reads := want.Access != gpu.Write; b.Access&spirv.Read != 0 && !reads {
			t.Errorf("binding %d %s: is read, but declared write-only", b.Number, want.Name)
		}
		if writes := want.Access != gpu.Read; b.Access&spirv.Write != 0 && !writes {
			t.Errorf("binding %d %s: is written, but declared read-only", b.Number, want.Name)
		}
	}
	if r.PushBytes() > m.pushBytes {
		t.Errorf("push constants: want %d bytes or fewer, got %d", m.pushBytes, r.PushBytes())
	}
	for _, c := range r.Spec {
		if c.ID >= m.specs {
			t.Errorf("specialization constant %d: want fewer than %d constants", c.ID, m.specs)
		}
	}
	for i, l := range r.LocalSize {
		if want := m.local[i]; l.Spec != want.spec || l.Spec < 0 && l.Value != want.size {
			t.Errorf("workgroup size %c: want %+v, got %v", "xyz"[i], want, l)
		}
	}
	for _, c := range r.Capabilities {
		if !slices.Contains(m.capabilities, c) {
			t.Errorf("capability %s: not in the table", c)
		}
	}
}

// TestFiles wants the files in spv to be the embedded ones, no more and no fewer, and a variants.txt that agrees.
func TestFiles(t *testing.T) {
	var want []string
	for _, table := range modules {
		for _, m := range table {
			want = append(want, m.name)
		}
	}
	slices.Sort(want)
	paths, err := filepath.Glob("spv/*.spv")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range paths {
		got = append(got, strings.TrimSuffix(filepath.Base(p), ".spv"))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("spv: want %q, got %q", want, got)
	}
	if listed := variantNames(t); !slices.Equal(listed, want) {
		t.Errorf("variants.txt: want %q, got %q", want, listed)
	}
}

func variantNames(t *testing.T) []string {
	text, err := os.ReadFile("variants.txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if w := strings.Fields(line); len(w) > 1 {
			names = append(names, strings.TrimSuffix(w[0]+"."+w[1], ".-"))
		}
	}
	slices.Sort(names)
	return names
}

// TestSources wants a source for every module and a module for every source.
func TestSources(t *testing.T) {
	want := map[string]bool{}
	for _, table := range modules {
		for _, m := range table {
			name, _, _ := strings.Cut(m.name, ".")
			want[name+".comp"] = true
		}
	}
	paths, err := filepath.Glob("*.comp")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range paths {
		if !want[p] {
			t.Errorf("%s: no line of variants.txt compiles it", p)
		}
		delete(want, p)
	}
	for p := range want {
		t.Errorf("%s: missing", p)
	}
}
