package gpu

import (
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// A device that has all has every feature that code may ask for, and one that lacks a field of Features or an operation
// of subgroups lacks what is named so, and nothing else.
func TestHas(t *testing.T) {
	lacks := func(in Info) (list []spirv.Feature) {
		for _, f := range spirv.Features {
			if f != spirv.Never && !in.has(f) {
				list = append(list, f)
			}
		}
		return list
	}
	var full Info
	all := reflect.ValueOf(&full.Features).Elem()
	for i := range all.NumField() {
		all.Field(i).SetBool(true)
	}
	full.Subgroup.Ops = slices.Clone(subgroupOps[:])
	if got := lacks(full); got != nil || full.has(spirv.Never) {
		t.Errorf("a device with everything lacks %v", got)
	}
	want := map[string]spirv.Feature{"Storage16": spirv.Storage16, "Storage8": spirv.Storage8, "Push16": spirv.Push16, "Float16": spirv.Float16,
		"Float64": spirv.Float64, "Int8": spirv.Int8, "Int16": spirv.Int16, "Int64": spirv.Int64, "IntDot": spirv.IntDot, "CoopMatrix": spirv.CoopMatrix,
		"basic": spirv.SubgroupBasic, "vote": spirv.SubgroupVote, "arithmetic": spirv.SubgroupArithmetic, "ballot": spirv.SubgroupBallot,
		"shuffle": spirv.SubgroupShuffle, "shuffle_relative": spirv.SubgroupShuffleRelative, "clustered": spirv.SubgroupClustered, "quad": spirv.SubgroupQuad}
	check := func(name string, less Info) {
		t.Helper()
		f, asked := want[name]
		if got := lacks(less); !asked && got != nil || asked && !slices.Equal(got, []spirv.Feature{f}) {
			t.Errorf("without %s: got %v missing", name, got)
		}
	}
	for i := range all.NumField() {
		less := full
		reflect.ValueOf(&less.Features).Elem().Field(i).SetBool(false)
		check(all.Type().Field(i).Name, less)
	}
	for i, op := range full.Subgroup.Ops {
		less := full
		less.Subgroup.Ops = slices.Delete(slices.Clone(full.Subgroup.Ops), i, i+1)
		check(op, less)
	}
	if len(want) != len(spirv.Features)-2 { // but Core and Never
		t.Errorf("want all of %d features tried, got %d", len(spirv.Features)-2, len(want))
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
