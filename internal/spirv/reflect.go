package spirv

import (
	"fmt"
	"slices"
)

// maxNumber bounds binding numbers and constant ids far above what shaders use, so that lists of them stay short, and
// push constant offsets.
const maxNumber = 255

// reflect builds the module's outside from its declarations.
func (m *declarations) reflect() (*Module, error) {
	if m.entries != 1 {
		return nil, fmt.Errorf("entry points: want 1, got %d", m.entries)
	}
	r := &Module{EntryPoint: m.entry, declared: m}
	if err := m.variablesInto(r); err != nil {
		return nil, err
	}
	if err := m.specsInto(r); err != nil {
		return nil, err
	}
	if err := m.localSizeInto(r); err != nil {
		return nil, err
	}
	slices.Sort(m.capabilities)
	r.Capabilities = slices.Compact(m.capabilities)
	return r, nil
}

// variablesInto sorts the module's global variables into bindings and push constants. Variables of other storage
// classes, such as shared memory, are the shader's own affair.
func (m *declarations) variablesInto(r *Module) error {
	pushes := 0
	for _, v := range m.variables {
		switch v.class {
		case classPushConstant:
			if pushes++; pushes > 1 {
				return fmt.Errorf("push constant block %q: want one block, got a second", m.variableName(v))
			}
			push, err := m.push(v)
			if err != nil {
				return err
			}
			r.Push = push
		case classUniformConstant, classUniform, classStorageBuffer, classAtomicCounter, classImage:
			b, err := m.binding(v)
			if err != nil {
				return err
			}
			if err := r.addBinding(b); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(r.Bindings, func(a, b Binding) int { return a.Number - b.Number })
	return nil
}

// addBinding appends b, or merges it with an earlier view of the same binding.
func (r *Module) addBinding(b Binding) error {
	for i := range r.Bindings {
		old := &r.Bindings[i]
		if old.Number != b.Number {
			continue
		}
		if old.Kind != b.Kind {
			return fmt.Errorf("binding %d: %s is a %s and %s a %s", b.Number, old.Name, old.Kind, b.Name, b.Kind)
		}
		// The compiler lists variables in the order of their use, so the name must not depend on it.
		if len(b.Name) < len(old.Name) || len(b.Name) == len(old.Name) && b.Name < old.Name {
			old.Name, old.Element, b.Name, b.Element = b.Name, b.Element, old.Name, old.Element
		}
		old.Access |= b.Access
		old.Aliased = old.Aliased && b.Aliased
		return nil
	}
	r.Bindings = append(r.Bindings, b)
	return nil
}

// pointee returns the id and the definition of the type that a variable holds.
func (m *declarations) pointee(v variable) (uint32, Instruction, error) {
	p, ok := m.defs[v.pointer]
	if !ok || p.Op != opTypePointer {
		return 0, Instruction{}, fmt.Errorf("variable %q: want a pointer type, got id %%%d", m.variableName(v), v.pointer)
	}
	t, ok := m.defs[p.Args[1]]
	if !ok {
		return 0, Instruction{}, fmt.Errorf("variable %q: type %%%d is not defined", m.variableName(v), p.Args[1])
	}
	return p.Args[1], t, nil
}

// variableName returns the name of a variable, or else that of its block, or else its id.
func (m *declarations) variableName(v variable) string {
	if name := m.names[v.id]; name != "" {
		return name
	}
	if p, ok := m.defs[v.pointer]; ok && p.Op == opTypePointer && m.names[p.Args[1]] != "" {
		return m.names[p.Args[1]]
	}
	return fmt.Sprintf("%%%d", v.id)
}

func (m *declarations) binding(v variable) (Binding, error) {
	name, d := m.variableName(v), m.decorationsOf(v.id)
	fail := func(format string, args ...any) (Binding, error) {
		return Binding{}, fmt.Errorf("binding %q: %s", name, fmt.Sprintf(format, args...))
	}
	id, t, err := m.pointee(v)
	if err != nil {
		return Binding{}, err
	}
	if !d.hasBinding || d.binding > maxNumber {
		return fail("want a binding number up to %d, got none or a greater one", maxNumber)
	}
	if d.set != 0 {
		return fail("want set 0, got set %d", d.set)
	}
	b := Binding{Number: int(d.binding), Name: name, Aliased: d.aliased}
	// SPIR-V before 1.3 has storage buffers in class Uniform, told from uniform blocks by their decoration.
	storage := v.class == classStorageBuffer || v.class == classUniform && m.decorationsOf(id).bufferBlock
	switch {
	case storage && t.Op == opTypeStruct:
		b.Kind, b.Access, b.Element = StorageBuffer, m.blockAccess(id, t, d), m.blockElement(id, t)
	case v.class == classUniformConstant && t.Op == opTypeImage && t.Args[1] == dimBuffer && t.Args[5] == sampled:
		b.Kind, b.Access = UniformTexel, Read
		b.Element = vectorPrefix(m.typeName(t.Args[0], 0)) + "textureBuffer"
	default:
		return fail("want a storage buffer or a textureBuffer, got storage class %d with %s", v.class, m.typeName(id, 0))
	}
	return b, nil
}

// blockAccess takes a block's access from its variable or, where all members agree, from them.
func (m *declarations) blockAccess(id uint32, t Instruction, d *decorations) Access {
	noWrite, noRead := len(t.Args) > 0, len(t.Args) > 0
	for i := range t.Args {
		f := m.members[id][uint32(i)]
		noWrite = noWrite && f != nil && f.nonWritable
		noRead = noRead && f != nil && f.nonReadable
	}
	a := ReadWrite
	if noWrite || d.nonWritable {
		a &^= Write
	}
	if noRead || d.nonReadable {
		a &^= Read
	}
	return a
}

func (m *declarations) push(v variable) ([]Member, error) {
	id, t, err := m.pointee(v)
	if err != nil {
		return nil, err
	}
	if t.Op != opTypeStruct {
		return nil, fmt.Errorf("push constants %q: want a block, got %s", m.variableName(v), m.typeName(id, 0))
	}
	var push []Member
	for i, typ := range t.Args {
		f := m.members[id][uint32(i)]
		if f == nil || !f.hasOffset || f.offset > maxNumber {
			return nil, fmt.Errorf("push constant %d: want an offset up to %d, got none or a greater one", i, maxNumber)
		}
		push = append(push, Member{Name: f.name, Offset: int(f.offset), Type: m.scalar(typ), GLSL: m.typeName(typ, 0)})
	}
	slices.SortFunc(push, func(a, b Member) int { return a.Offset - b.Offset })
	return push, nil
}

// scalar returns the scalar type that an id defines.
func (m *declarations) scalar(id uint32) Scalar {
	t, ok := m.defs[id]
	switch {
	case !ok:
		return Other
	case t.Op == opTypeBool:
		return Bool
	case t.Op == opTypeFloat && t.Args[0] == 32:
		return Float
	case t.Op == opTypeInt && t.Args[0] == 32 && t.Args[1] == 0:
		return Uint
	case t.Op == opTypeInt && t.Args[0] == 32:
		return Int
	}
	return Other
}

func (m *declarations) specsInto(r *Module) error {
	for _, id := range m.specs {
		d, in := m.decorationsOf(id), m.defs[id]
		if !d.hasSpec {
			continue // a constant folded from others
		}
		name := m.names[id]
		if d.spec > maxNumber {
			return fmt.Errorf("specialization constant %q: want an id up to %d, got %d", name, maxNumber, d.spec)
		}
		s, typ := m.scalar(in.Args[0]), m.typeName(in.Args[0], 0)
		if (s == Bool) != (in.Op != opSpecConstant) {
			return fmt.Errorf("specialization constant %d %q: want a value of %s, got a truth value or a number", d.spec, name, typ)
		}
		c := Constant{ID: int(d.spec), Name: name, Type: s, GLSL: typ}
		switch in.Op {
		case opSpecConstantTrue:
			c.Default = 1
		case opSpecConstant:
			c.Default = in.Args[1]
		}
		if err := r.addSpec(c); err != nil {
			return err
		}
	}
	slices.SortFunc(r.Spec, func(a, b Constant) int { return a.ID - b.ID })
	return nil
}

// addSpec appends c, or merges it with an earlier constant of the same id: local_size_x_id makes a nameless twin, with
// a default of 1, of a constant that the shader declares with the same id.
func (r *Module) addSpec(c Constant) error {
	for i := range r.Spec {
		old := &r.Spec[i]
		if old.ID != c.ID {
			continue
		}
		if old.Type != c.Type {
			return fmt.Errorf("specialization constant %d: declared as %s and as %s", c.ID, old.Type, c.Type)
		}
		if old.Name != "" && c.Name != "" && (old.Name != c.Name || old.Default != c.Default) {
			return fmt.Errorf("specialization constant %d: declared as %q and as %q", c.ID, old.Name, c.Name)
		}
		if old.Name == "" {
			*old = c
		}
		return nil
	}
	r.Spec = append(r.Spec, c)
	return nil
}
