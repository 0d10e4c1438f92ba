package gpu

import (
	"reflect"
	"testing"
)

// Memory types of three real kinds of machine.
func TestMemoryCandidates(t *testing.T) {
	type mt = struct{ flags, heap uint32 }
	const all = ^uint32(0)
	discrete := memoryTypes{types: []mt{{0, 1}, {memLocal, 0}, {memVisible | memCoherent, 1}, {memVisible | memCoherent | memCached, 1}, {memLocal | memVisible | memCoherent, 2}}}
	odd := memoryTypes{types: []mt{{memLocal, 0}, {memLocal | memVisible | memCoherent, 0}, {memLocal | memVisible | memCoherent | 0x40, 0}, {memVisible | memCached, 0}, {memVisible | memCoherent, 0}}}
	one := memoryTypes{types: []mt{{memLocal | memVisible | memCoherent | memCached, 0}}}
	for _, c := range []struct {
		name   string
		m      memoryTypes
		kind   Memory
		mask   uint32
		shared bool
		want   []int
	}{
		{"discrete", discrete, DeviceLocal, all, false, []int{1, 4}},
		{"discrete", discrete, Upload, all, false, []int{2, 3, 4}},
		{"discrete", discrete, Readback, all, false, []int{3, 2, 4}},
		{"masked", discrete, Readback, 1 << 2, false, []int{2}},
		{"device-coherent and non-coherent types are left alone", odd, DeviceLocal, all, true, []int{1, 0}},
		{"device-coherent and non-coherent types are left alone", odd, Readback, all, true, []int{1, 4}},
		{"single", one, DeviceLocal, all, true, []int{0}},
		{"single", one, Upload, all, true, []int{0}},
		{"single", one, Readback, all, false, []int{0}},
	} {
		if got := c.m.candidates(c.kind, c.mask, c.shared); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s, %s: types %v, want %v", c.name, c.kind, got, c.want)
		}
	}
}

func TestPick(t *testing.T) {
	in := func(i int, typ Type, mem uint64) Info { return Info{Index: i, Type: typ, MemoryBytes: mem} }
	for _, c := range []struct {
		infos []Info
		want  int
	}{
		{nil, -1},
		{[]Info{in(0, CPU, 9)}, 0},
		{[]Info{in(0, CPU, 9), in(1, Integrated, 5), in(2, Discrete, 1), in(3, Virtual, 7)}, 2},
		{[]Info{in(0, Other, 9), in(1, CPU, 1)}, 1},
		{[]Info{in(0, Discrete, 8), in(1, Discrete, 24), in(2, Discrete, 24)}, 1},
	} {
		if got := Pick(c.infos); got != c.want {
			t.Errorf("Pick(%v) = %d, want %d", c.infos, got, c.want)
		}
	}
}

// A driver that leaves its figures 0 has not said that there is no memory.
func TestMemoryBudgetKnown(t *testing.T) {
	for heap, want := range map[memoryHeap]bool{{size: 8, budget: 6, usage: 6, local: true}: true, {size: 8, local: true}: false, {size: 8, usage: 2, local: true}: false, {size: 8, budget: 6}: false} {
		m := memoryTypes{heaps: []memoryHeap{heap}}
		if used, budget, ok := m.localUse(); ok != want || ok && (used != heap.usage || budget != heap.budget) {
			t.Errorf("%+v: %d used of %d, known %v", heap, used, budget, ok)
		}
	}
}
