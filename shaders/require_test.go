package shaders

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// TestMissing takes one feature after the other from a device that has all.
func TestMissing(t *testing.T) {
	var all []string
	for c := range requirements {
		all = append(all, c)
	}
	slices.Sort(all)
	full := fullInfo()
	if got := missing(full, all); got != nil {
		t.Errorf("a device with everything lacks %q", got)
	}
	if got := missing(full, []string{"Shader", "CooperativeMatrixKHR"}); !slices.Equal(got, []string{"CooperativeMatrixKHR"}) {
		t.Errorf("want an unknown capability missing, got %q", got)
	}
	want := map[string][]string{
		"Storage16": {"StorageBuffer16BitAccess"}, "Storage8": {"StorageBuffer8BitAccess"}, "Push16": {"StoragePushConstant16"},
		"Float16": {"Float16"}, "Float64": {"Float64"}, "Int8": {"DotProductInput4x8Bit", "Int8"}, "Int16": {"Int16"}, "Int64": {"Int64"},
		"CoopMatrix": {"CooperativeMatrixNV", "VulkanMemoryModel"},
		"IntDot":     {"DotProduct", "DotProductInput4x8Bit", "DotProductInput4x8BitPacked", "DotProductInputAll"},
	}
	for i := range reflect.TypeFor[gpu.Features]().NumField() {
		less, name := full, reflect.TypeFor[gpu.Features]().Field(i).Name
		reflect.ValueOf(&less.Features).Elem().Field(i).SetBool(false)
		if got := missing(less, all); !slices.Equal(got, want[name]) {
			t.Errorf("without %s: want %q missing, got %q", name, want[name], got)
		}
	}
	for i, op := range full.Subgroup.Ops {
		less := full
		less.Subgroup.Ops = slices.Delete(slices.Clone(full.Subgroup.Ops), i, i+1)
		got := missing(less, all)
		if len(got) != 1 || op != "basic" && !strings.EqualFold(got[0], "GroupNonUniform"+strings.ReplaceAll(op, "_", "")) {
			t.Errorf("without subgroup operation %s: got %q missing", op, got)
		}
	}
}

func fullInfo() gpu.Info {
	var in gpu.Info
	f := reflect.ValueOf(&in.Features).Elem()
	for i := range f.NumField() {
		f.Field(i).SetBool(true)
	}
	in.Subgroup.Ops = []string{"basic", "vote", "arithmetic", "ballot", "shuffle", "shuffle_relative", "clustered", "quad"}
	return in
}

// TestRequirements wants every capability in use known, so that a variant is refused for want of a feature and never
// for a gap in the table.
func TestRequirements(t *testing.T) {
	for _, table := range modules {
		for _, m := range table {
			for _, c := range m.capabilities {
				if requirements[c] == nil {
					t.Errorf("%s: capability %s: not in require.go", m.name, c)
				}
			}
		}
	}
}

func TestLocalSize(t *testing.T) {
	m := module{local: [3]extent{{spec: 1}, {size: 2, spec: -1}, {spec: 0}}}
	if got := m.localSize([]uint32{7, 64}); got != [3]uint32{64, 2, 7} {
		t.Errorf("want [64 2 7], got %v", got)
	}
}

func TestBytesOf(t *testing.T) {
	push := struct {
		A uint32
		B float32
		C int32
	}{0x01020304, 1, -1}
	want := []byte{4, 3, 2, 1, 0, 0, 0x80, 0x3f, 255, 255, 255, 255}
	if got := bytesOf(&push); !slices.Equal(got, want) {
		t.Errorf("want % x, got % x", want, got)
	}
	if got := bytesOf(&struct{}{}); len(got) != 0 {
		t.Errorf("want no bytes, got % x", got)
	}
}
