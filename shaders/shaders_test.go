package shaders

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
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
	for _, d := range differences(m, r) {
		t.Error(d)
	}
}

// differences says what a compiled module declares otherwise than its table.
func differences(m *module, r *spirv.Module) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, b := range r.Bindings {
		if b.Number >= len(m.bindings) {
			add("binding %d: want fewer than %d bindings", b.Number, len(m.bindings))
			continue
		}
		want := m.bindings[b.Number]
		if (b.Kind == spirv.UniformTexel) != (want.Kind == gpu.UniformTexel) {
			add("binding %d %s: want kind %v, got %v", b.Number, want.Name, want.Kind, b.Kind)
		}
		if b.Access&spirv.Read != 0 && want.Access == gpu.Write {
			add("binding %d %s: is read, but declared write-only", b.Number, want.Name)
		}
		if b.Access&spirv.Write != 0 && want.Access == gpu.Read {
			add("binding %d %s: is written, but declared read-only", b.Number, want.Name)
		}
	}
	if r.PushBytes() > m.pushBytes {
		add("push constants: want %d bytes or fewer, got %d", m.pushBytes, r.PushBytes())
	}
	return list
}

// A kernel is refused for want of a feature, and never since the table of capabilities lacks one that it declares.
func TestCapabilitiesKnown(t *testing.T) {
	for _, table := range modules {
		for i := range table {
			code, err := table[i].code(true)
			if err != nil {
				t.Fatal(err)
			}
			r, err := spirv.Parse(code)
			if err != nil {
				t.Fatalf("%s: %v", table[i].name, err)
			}
			for _, c := range r.Capabilities {
				if slices.Contains(c.Needs(), spirv.Never) {
					t.Errorf("%s: no device has what capability %s needs", table[i].name, c)
				}
			}
		}
	}
}

// TestDifferences wants each sort of difference seen.
func TestDifferences(t *testing.T) {
	for want, change := range map[string]func(*module, *spirv.Module){
		"binding 1: want fewer than 1 bindings":           func(_ *module, r *spirv.Module) { r.Bindings[0].Number = 1 },
		"binding 0 w: want kind":                          func(m *module, _ *spirv.Module) { m.bindings[0].Kind = gpu.UniformTexel },
		"binding 0 w: is read, but declared write-only":   func(m *module, _ *spirv.Module) { m.bindings[0].Access = gpu.Write },
		"binding 0 w: is written, but declared read-only": func(_ *module, r *spirv.Module) { r.Bindings[0].Access = spirv.ReadWrite },
		"push constants: want 4 bytes or fewer, got 8":    func(_ *module, r *spirv.Module) { r.Push[0].Offset = 4 },
	} {
		m := &module{
			bindings:  []gpu.Binding{{Name: "w", Kind: gpu.StorageBuffer, Access: gpu.Read}},
			pushBytes: 4,
		}
		r := &spirv.Module{
			Bindings: []spirv.Binding{{Access: spirv.Read}},
			Push:     []spirv.Member{{}},
		}
		if got := differences(m, r); got != nil {
			t.Fatalf("want no difference, got %q", got)
		}
		change(m, r)
		if got := differences(m, r); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("want %q, got %q", want, got)
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

// Sum tells apart any two builds that differ in a shader of the prefix, and no others.
func TestSum(t *testing.T) {
	all, some := Sum(""), Sum("matmul_")
	if all == some || len(all) != 16 || Sum("none") == some {
		t.Errorf("sums %q of all, %q of some", all, some)
	}
	spoil := func(m *module, want bool) {
		t.Helper()
		old := m.spirv
		defer func() { m.spirv = old }()
		m.spirv = append([]byte{1}, old[1:]...)
		if changed := Sum("matmul_") != some; changed != want || Sum("") == all {
			t.Errorf("%s: changed %v, want %v", m.name, changed, want)
		}
	}
	spoil(&matmulVecModules[3], true)
	spoil(&embedModules[3], false)
}
