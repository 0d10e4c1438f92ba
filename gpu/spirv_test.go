package gpu

import (
	"encoding/binary"
	"math/rand"
	"os"
	"testing"
)

func TestParseModule(t *testing.T) {
	for _, c := range []struct {
		file     string
		spec     []uint32
		local    [3]int
		shared   int
		bindings map[int]BindingKind
		needs    uint32 // a capability
	}{
		{"saxpy", []uint32{48}, [3]int{48, 1, 1}, 0, map[int]BindingKind{0: StorageBuffer, 1: StorageBuffer}, 1},
		{"saxpy", nil, [3]int{1, 1, 1}, 0, map[int]BindingKind{0: StorageBuffer, 1: StorageBuffer}, 1},
		{"next", nil, [3]int{32, 1, 1}, 0, map[int]BindingKind{0: StorageBuffer, 1: StorageBuffer}, 1},
		{"echo", []uint32{4, 2, 100}, [3]int{4, 2, 1}, 400, map[int]BindingKind{0: StorageBuffer}, 1},
		{"echo", []uint32{4, 2}, [3]int{4, 2, 1}, 28, map[int]BindingKind{0: StorageBuffer}, 1},
		{"texel", nil, [3]int{32, 1, 1}, 0, map[int]BindingKind{0: UniformTexel, 1: StorageBuffer}, 46},
		{"subgroup", []uint32{8}, [3]int{8, 1, 1}, 0, map[int]BindingKind{0: StorageBuffer}, 63},
		{"half", nil, [3]int{32, 1, 1}, 0, map[int]BindingKind{0: StorageBuffer}, 9},
	} {
		m, err := parseModule(testCode(t, c.file), c.spec)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if m.local != c.local || m.shared != c.shared || len(m.bindings) != len(c.bindings) {
			t.Errorf("%s %v: local %v, shared %d, bindings %v; want %v, %d, %v", c.file, c.spec, m.local, m.shared, m.bindings, c.local, c.shared, c.bindings)
		}
		for i, kind := range c.bindings {
			if got, ok := m.bindings[i]; !ok || got != kind {
				t.Errorf("%s: binding %d is a %v, want %v", c.file, i, got, kind)
			}
		}
		has := false
		for _, n := range m.capabilities {
			has = has || n == c.needs
		}
		if !has {
			t.Errorf("%s: capabilities %v, want %d among them", c.file, m.capabilities, c.needs)
		}
	}
}

// Damaged code gives an error or a module, never a panic.
func TestParseDamagedModule(t *testing.T) {
	rng := rand.New(rand.NewSource(3))
	good := testCode(t, "echo")
	failed := 0
	for range 3000 {
		bad := append([]byte(nil), good...)
		for range 1 + rng.Intn(8) {
			at := 4 * rng.Intn(len(bad)/4)
			binary.LittleEndian.PutUint32(bad[at:], []uint32{0, 1, 4, 0xffffffff, rng.Uint32(), uint32(rng.Intn(80)) | 4<<16}[rng.Intn(6)])
		}
		bad = bad[:rng.Intn(len(bad)+1)]
		if _, err := parseModule(bad, []uint32{1, 2, 3}); err != nil {
			failed++
		}
	}
	if failed < 1000 {
		t.Errorf("only %d of 3000 damaged modules were refused", failed)
	}
}

// An image is a uniform texel buffer if it is one of a buffer and read through the texture path, and else no binding.
func TestParseImages(t *testing.T) {
	for _, c := range []struct {
		what string
		word int // of the image's type
		is   uint32
		ok   bool
	}{
		{"as it is", 3, dimBuffer, true}, {"of two dimensions", 3, 1, false},
		{"read and written", 7, 2, false}, {"of either kind", 7, 0, false},
	} {
		code := testCode(t, "texel")
		for at := 20; at < len(code); at += 4 * int(binary.LittleEndian.Uint16(code[at+2:])) {
			if binary.LittleEndian.Uint16(code[at:]) == opTypeImage {
				binary.LittleEndian.PutUint32(code[at+4*c.word:], c.is)
			}
		}
		if _, err := parseModule(code, nil); (err == nil) != c.ok {
			t.Errorf("an image %s: want success %t, got %v", c.what, c.ok, err)
		}
	}
}

func testCode(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".spv")
	if err != nil {
		t.Fatal(err)
	}
	return b
}
