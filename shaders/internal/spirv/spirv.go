// Package spirv reads from a compute shader's SPIR-V module what a caller must know to run it: its buffers, push
// constants, specialization constants, workgroup size and the capabilities it asks of the device.
//
// It reads names, so it wants a module that still has them: glslc keeps them when it neither optimises nor strips.
// Source: the SPIR-V Specification, section 2.3 (physical layout) and section 3 (binary form).
package spirv

import "fmt"

// Module is the outside of one compute shader.
type Module struct {
	EntryPoint   string     // "main" for GLSL
	Bindings     []Binding  // descriptors of set 0, by number
	Push         []Member   // push constants, by offset
	Spec         []Constant // specialization constants, by id
	LocalSize    [3]Size    // invocations per workgroup in x, y, z
	Capabilities []string   // as SPIR-V calls them, sorted
}

// Kind says what sort of descriptor a binding is.
type Kind uint8

// The kinds of descriptor that a shader may use.
const (
	StorageBuffer Kind = iota // buffer block
	UniformTexel              // textureBuffer, itextureBuffer, utextureBuffer
)

// String returns the kind's name as in "storage buffer".
func (k Kind) String() string {
	if k == UniformTexel {
		return "uniform texel buffer"
	}
	return "storage buffer"
}

// Access says what a shader does with a binding, as its readonly and writeonly qualifiers declare.
type Access uint8

// The ways to use a binding.
const (
	Read Access = 1 << iota
	Write
	ReadWrite = Read | Write
)

// String returns the access as in "read", "write", "read and write" or, for a binding that is both readonly and
// writeonly, "none".
func (a Access) String() string {
	return [...]string{"none", "read", "write", "read and write"}[a&3]
}

// Binding is one descriptor of set 0.
type Binding struct {
	Number  int
	Name    string // instance name, or else block name; of several views of one binding the shortest name
	Kind    Kind
	Access  Access
	Element string // GLSL type of the array's element (uvec4), of the texel (textureBuffer), or of the block's members
}

// Scalar is a 4-byte scalar type.
type Scalar uint8

// The scalar types of push and specialization constants.
const (
	Uint Scalar = iota
	Int
	Float
	Bool // specialization constants only
)

// String returns the type's GLSL name.
func (s Scalar) String() string { return [...]string{"uint", "int", "float", "bool"}[s&3] }

// Member is one push constant.
type Member struct {
	Name   string
	Offset int // bytes
	Type   Scalar
}

// Constant is one specialization constant.
type Constant struct {
	ID      int
	Name    string // local_x, local_y, local_z for one that only sets the workgroup size and has no name of its own
	Type    Scalar
	Default uint32 // the value's bits; 0 or 1 for a bool
}

// Size is the workgroup's extent in one dimension: a number, or the specialization constant that sets it.
type Size struct {
	Value uint32 // the default where a constant sets it
	Spec  int    // id of the constant, or -1
}

// String returns the number, or the constant as in "spec 0 (64)".
func (s Size) String() string {
	if s.Spec < 0 {
		return fmt.Sprint(s.Value)
	}
	return fmt.Sprintf("spec %d (%d)", s.Spec, s.Value)
}

// PushBytes returns the size of the push constants in bytes, which ends with the last of them.
func (m *Module) PushBytes() int {
	if len(m.Push) == 0 {
		return 0
	}
	return m.Push[len(m.Push)-1].Offset + 4
}
