package spirv

import "fmt"

// Module is the outside of one compute shader. Names are those of the source where the module has them.
type Module struct {
	Version      Version
	EntryPoint   string       // "main" for GLSL
	Bindings     []Binding    // descriptors of set 0, by number
	Push         []Member     // push constants, by offset
	Spec         []Constant   // specialization constants, by id
	LocalSize    [3]Size      // invocations per workgroup in x, y, z
	Capabilities []Capability // that it declares, by number

	declared *declarations
}

// Version is a version of SPIR-V, as headers have it.
type Version uint32

// MakeVersion returns a version by its numbers.
func MakeVersion(major, minor int) Version { return Version(major<<16 | minor<<8) }

// String returns the version as in "1.3".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v>>16, v>>8&0xff) }

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
	Aliased bool   // all its views may share memory with other bindings
	Element string // GLSL type of the array's element (uvec4), of the texel (textureBuffer), or of the block's members
}

// Scalar is a 4-byte scalar type.
type Scalar uint8

// The scalar types of push and specialization constants.
const (
	Uint Scalar = iota
	Int
	Float
	Bool
	Other // none of these; vectors, too
)

// String returns the type's GLSL name.
func (s Scalar) String() string {
	return [...]string{"uint", "int", "float", "bool", "another type"}[s]
}

// Member is one push constant.
type Member struct {
	Name   string
	Offset int // bytes
	Type   Scalar
	GLSL   string // the type's name, of any type
}

// Constant is one specialization constant.
type Constant struct {
	ID      int
	Name    string // local_x, local_y, local_z for one that only sets the workgroup size and has no name of its own
	Type    Scalar
	GLSL    string // the type's name, of any type
	Default uint32 // the value's bits, of another type the first; 0 or 1 for a bool
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

// LocalSizeWith returns the workgroup's size with spec as the specialization constants 0..n-1.
func (m *Module) LocalSizeWith(spec []uint32) (size [3]int) {
	for i, s := range m.LocalSize {
		size[i] = int(s.Value)
		if s.Spec >= 0 && s.Spec < len(spec) {
			size[i] = int(spec[s.Spec])
		}
	}
	return size
}

// PushBytes returns the size of the push constants in bytes, which ends with the last of them.
func (m *Module) PushBytes() int {
	if len(m.Push) == 0 {
		return 0
	}
	return m.Push[len(m.Push)-1].Offset + 4
}
