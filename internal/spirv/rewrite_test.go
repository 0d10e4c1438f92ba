package spirv

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

func assembled(words ...[]uint32) (code []byte) {
	for _, in := range words {
		for _, w := range in {
			code = binary.LittleEndian.AppendUint32(code, w)
		}
	}
	return code
}

func in(op uint32, args ...uint32) []uint32 {
	return append([]uint32{uint32(len(args)+1)<<16 | op}, args...)
}

// olderMatrices is a module of every instruction that has to change, and one that must not.
func olderMatrices() [][]uint32 {
	return [][]uint32{
		{0x07230203, 0x10300, 0, 50, 0},
		in(opCapability, 1), in(opCapability, uint32(CooperativeMatrixNV)), in(opExtension, literal(extensionMatrixNV)...),
		in(opTypeInt, 1, 32, 0), in(22, 2, 16), in(22, 3, 32), in(20, 4), in(opConstantTrue, 4, 5), in(opConstantFalse, 4, 6),
		in(opSpecConstant, 1, 7, 16), in(opSpecConstant, 1, 8, 16), in(opSpecConstant, 1, 9, 16), in(opConstant, 1, 10, 3),
		in(opTypeMatrixNV, 11, 2, 10, 7, 9), in(opTypeMatrixNV, 12, 2, 10, 9, 8), in(opTypeMatrixNV, 13, 3, 10, 7, 8),
		in(opSpecConstantOp, 1, 24, 5362, 13), in(opSpecConstantOp, 1, 26, 128, 24, 7), in(opSpecConstantOp, 1, 25, 128, 7, 8),
		in(opFunction, 40, 41, 0, 42), in(opLabel, 43), in(opVariable, 44, 45, 7),
		in(opMatrixLoadNV, 11, 20, 30, 31, 6), in(opMatrixLoadNV, 12, 21, 30, 31, 5, 4, 10), in(61, 13, 22, 32),
		in(opMatrixMulAddNV, 13, 23, 20, 21, 22), in(opMatrixStoreNV, 30, 23, 31, 5, 2, 10), in(opLabel, 46),
	}
}

func khr(module []byte) ([]byte, error) {
	c, err := Decode(module)
	if err == nil {
		err = c.KHRMatrices()
	}
	return c.Encode(), err
}

// The result is what SPV_KHR_cooperative_matrix says: A is 0, B 1 and an accumulator 2, row-major is 0 and column-major
// 1.
func TestKHRMatrices(t *testing.T) {
	got, err := khr(assembled(olderMatrices()...))
	if err != nil {
		t.Fatal(err)
	}
	want := assembled([][]uint32{
		{0x07230203, 0x10300, 0, 53, 0},
		in(opCapability, 1), in(opCapability, 6022), in(opExtension, literal("SPV_KHR_cooperative_matrix")...),
		in(opTypeInt, 1, 32, 0), in(22, 2, 16), in(22, 3, 32), in(20, 4), in(opConstantTrue, 4, 5), in(opConstantFalse, 4, 6),
		in(opSpecConstant, 1, 7, 16), in(opSpecConstant, 1, 8, 16), in(opSpecConstant, 1, 9, 16), in(opConstant, 1, 10, 3),
		in(opConstant, 1, 50, 0), in(opConstant, 1, 51, 1), in(opConstant, 1, 52, 2),
		in(4456, 11, 2, 10, 7, 9, 50), in(4456, 12, 2, 10, 9, 8, 51), in(4456, 13, 3, 10, 7, 8, 52),
		in(opSpecConstantOp, 1, 25, 128, 7, 8),
		in(opFunction, 40, 41, 0, 42), in(opLabel, 43), in(opVariable, 44, 45, 7), in(4460, 1, 24, 13), in(128, 1, 26, 24, 7),
		in(4457, 11, 20, 30, 50, 31), in(4457, 12, 21, 30, 51, 31, 4, 10), in(61, 13, 22, 32),
		in(4459, 13, 23, 20, 21, 22), in(4458, 30, 23, 51, 31, 2, 10), in(opLabel, 46),
	}...)
	if !slices.Equal(got, want) {
		t.Errorf("want\n%x, got\n%x", want, got)
	}
}

func TestKHRMatricesRefused(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(m [][]uint32) [][]uint32
	}{
		{"header of 5 of them", func(m [][]uint32) [][]uint32 { return [][]uint32{m[0][:4]} }},
		{"want 1 to 2, got 9", func(m [][]uint32) [][]uint32 { m[28][0] = 9<<16 | opLabel; return m }},
		{"want 1 to 2, got 0", func(m [][]uint32) [][]uint32 { m[28][0] = opLabel; return m }},
		{"operands of opcode 5361: want 5 or more, got 2", func(m [][]uint32) [][]uint32 { m[26] = in(opMatrixMulAddNV, 13, 23); return m }},
		{"stands in no product", func(m [][]uint32) [][]uint32 { return slices.Delete(m, 26, 27) }},
		{"operand %22 is none", func(m [][]uint32) [][]uint32 { return slices.Delete(m, 25, 26) }},
		{"has uses 0 and 1", func(m [][]uint32) [][]uint32 { m[24][1] = 11; return m }},
		{"layout %31: want a constant", func(m [][]uint32) [][]uint32 { m[23][5] = 31; return m }},
		{"want one function", func(m [][]uint32) [][]uint32 { return append(m, m[20]) }},
		{"32-bit integer type", func(m [][]uint32) [][]uint32 { m[4][2] = 16; return m }},
	} {
		if _, err := khr(assembled(c.change(olderMatrices())...)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
}

// What has operations of subgroups requires them to meet again: by an extension behind the capabilities, and an
// execution mode of the entry point. All else stays.
func TestUniformFlow(t *testing.T) {
	module := func(more ...[]uint32) []byte {
		header := []uint32{0x07230203, 0x10300, 0, 50, 0}
		return assembled(append([][]uint32{header, in(opCapability, 1), in(opCapability, 61)}, more...)...)
	}
	entry, label := in(opEntryPoint, 5, 4, 0x6e69616d, 0), in(opLabel, 9)
	c, err := Decode(module(in(opExtension, literal("SPV_X")...), entry, label))
	if err != nil {
		t.Fatal(err)
	}
	c.UniformFlow()
	want := module(in(opExtension, literal("SPV_KHR_subgroup_uniform_control_flow")...), in(opExtension, literal("SPV_X")...), entry, in(opExecutionMode, 4, 4421), label)
	if got := c.Encode(); !slices.Equal(got, want) {
		t.Errorf("want\n%x, got\n%x", want, got)
	}
	for capability, want := range map[Capability]bool{1: false, 60: false, 61: true, 68: true, 69: false} {
		if capability.IsSubgroup() != want {
			t.Errorf("%s: operations of subgroups: want %t", capability, want)
		}
	}
}

// What a module declares stands before all else; of a damaged one it is what there is.
func TestDeclared(t *testing.T) {
	code := assembled([]uint32{0x07230203, 0x10300, 0, 50, 0}, in(opCapability, 1), in(opCapability, 61), in(opExtension, literal("SPV_X")...), in(opCapability, 9))
	if got := Declared(code); !slices.Equal(got, []Capability{1, 61}) {
		t.Errorf("want 1 and 61, got %v", got)
	}
	for n := range code {
		if got := Declared(code[:n]); len(got) > 2 {
			t.Fatalf("%d bytes: %v", n, got)
		}
	}
	for _, name := range []string{"kinds", "constants", "../../../gpu/testdata/subgroup"} {
		code := read(t, name)
		got := Declared(code)
		slices.Sort(got)
		if m, err := Parse(code); err != nil || !slices.Equal(got, m.Capabilities) {
			t.Errorf("%s: want %v, got %v (%v)", name, m.Capabilities, got, err)
		}
	}
}
