package spirv

import (
	"fmt"
	"strings"
)

// maxDepth bounds how deep types nest in a name: a hostile module can define a type that holds itself.
const maxDepth = 8

// maxMembers bounds how many members of a block a name lists.
const maxMembers = 8

// typeName returns a type's GLSL name, or a description where GLSL has none.
func (m *declarations) typeName(id uint32, depth int) string {
	t, ok := m.defs[id]
	if !ok || depth > maxDepth {
		return fmt.Sprintf("%%%d", id)
	}
	switch t.Op {
	case opTypeBool:
		return "bool"
	case opTypeInt:
		return numberName(t.Args[0], [...]string{"int", "uint"}[1-min(t.Args[1], 1)])
	case opTypeFloat:
		return numberName(t.Args[0], "float")
	case opTypeVector:
		return vectorName(m.typeName(t.Args[0], depth+1), t.Args[1])
	case opTypeMatrixOf:
		return fmt.Sprintf("matrix of %d %s", t.Args[1], m.typeName(t.Args[0], depth+1))
	case opTypeArray:
		return m.typeName(t.Args[0], depth+1) + "[" + m.lengthName(t.Args[1]) + "]"
	case opTypeRuntimeArray:
		return m.typeName(t.Args[0], depth+1) + "[]"
	case opTypeStruct:
		if name := m.names[id]; name != "" {
			return name
		}
		return "struct"
	case opTypeImage:
		return "image of " + m.typeName(t.Args[0], depth+1)
	case opTypeSampledImage:
		return "sampler of " + m.typeName(t.Args[0], depth+1)
	}
	return fmt.Sprintf("opcode %d", t.Op)
}

func (m *declarations) lengthName(id uint32) string {
	if in, ok := m.defs[id]; ok && in.Op == opConstant {
		return fmt.Sprint(in.Args[1])
	}
	if name := m.names[id]; name != "" {
		return name
	}
	return "?"
}

// numberName adds a width to a type name unless it is GLSL's default of 32 bits.
func numberName(bits uint32, base string) string {
	if bits == 32 {
		return base
	}
	return fmt.Sprintf("%s%d_t", base, bits)
}

// vectorName returns the GLSL name of n elements: uvec4, f16vec2, vec3.
func vectorName(element string, n uint32) string {
	return fmt.Sprintf("%svec%d", vectorPrefix(element), n)
}

// vectorPrefix returns what GLSL puts before vec and textureBuffer for an element type.
func vectorPrefix(element string) string {
	if element == "float" {
		return ""
	}
	bits := strings.TrimSuffix(strings.TrimLeft(element, "abcdefghijklmnopqrstuvwxyz"), "_t")
	return element[:1] + bits
}

// blockElement returns the element type of a block that is one unsized array, and otherwise the list of its members.
func (m *declarations) blockElement(id uint32, t Instruction) string {
	if len(t.Args) == 1 {
		if a, ok := m.defs[t.Args[0]]; ok && a.Op == opTypeRuntimeArray {
			return m.typeName(a.Args[0], 0)
		}
	}
	var list []string
	for i, member := range t.Args {
		if i == maxMembers {
			list = append(list, "...")
			break
		}
		name := "_"
		if f := m.members[id][uint32(i)]; f != nil && f.name != "" {
			name = f.name
		}
		list = append(list, m.typeName(member, 0)+" "+name)
	}
	return "{" + strings.Join(list, "; ") + "}"
}
