package spirv

import (
	"fmt"
	"slices"
)

// maxNumber bounds binding numbers and constant ids far above what shaders use, so that lists of them stay short, and
// push constant offsets.
const maxNumber = 255

// reflect builds the module's outside from its declarations.
func (m *module) reflect() (*Module, error) {
	if m.entries != 1 {
		return nil, fmt.Errorf("entry points: want 1, got %d", m.entries)
	}
	r := &Module{EntryPoint: m.entry}
	if err := m.variablesInto(r); err != nil {
		return nil, err
	}
	if err := m.specsInto(r); err != nil {
		return nil, err
	}
	if err := m.localSizeInto(r); err != nil {
		return nil, err
	}
	for _, c := range m.capabilities {
		r.Capabilities = append(r.Capabilities, capabilityName(c))
	}
	slices.Sort(r.Capabilities)
	r.Capabilities = slices.Compact(r.Capabilities)
	return r, nil
}

// variablesInto sorts the module's global variables into bindings and push constants. Variables of other storage
// classes, such as shared memory, are the shader's own affair.
func (m *module) variablesInto(r *Module) error {
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
		return nil
	}
	r.Bindings = append(r.Bindings, b)
	return nil
}

// pointee returns the id and the definition of the type that a variable holds.
func (m *module) pointee(v variable) (uint32, instruction, error) {
	p, ok := m.defs[v.pointer]
	if !ok || p.op != opTypePointer {
		return 0, instruction{}, fmt.Errorf("variable %q: want a pointer type, got id %%%d", m.variableName(v), v.pointer)
	}
	t, ok := m.defs[p.args[1]]
	if !ok {
		return 0, instruction{}, fmt.Errorf("variable %q: type %%%d is not defined", m.variableName(v), p.args[1])
	}
	return p.args[1], t, nil
}

// variableName returns the name of a variable, or else that of its block, or else its id.
func (m *module) variableName(v variable) string {
	if name := m.names[v.id]; name != "" {
		return name
	}
	if p, ok := m.defs[v.pointer]; ok && p.op == opTypePointer && m.names[p.args[1]] != "" {
		return m.names[p.args[1]]
	}
	return fmt.Sprintf("%%%d", v.id)
}

func (m *module) binding(v variable) (Binding, error) {
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
	b := Binding{Number: int(d.binding), Name: name}
	// SPIR-V before 1.3 has storage buffers in class Uniform, told from uniform blocks by their decoration.
	storage := v.class == classStorageBuffer || v.class == classUniform && m.decorationsOf(id).bufferBlock
	switch {
	case storage && t.op == opTypeStruct:
		b.Kind, b.Access, b.Element = StorageBuffer, m.blockAccess(id, t, d), m.blockElement(id, t)
	case v.class == classUniformConstant && t.op == opTypeImage && t.args[1] == dimBuffer && t.args[5] == sampled:
		b.Kind, b.Access = UniformTexel, Read
		b.Element = vectorPrefix(m.typeName(t.args[0], 0)) + "textureBuffer"
	default:
		return fail("want a storage buffer or a textureBuffer, got storage class %d with %s", v.class, m.typeName(id, 0))
	}
	return b, nil
}

// blockAccess takes a block's access from its variable or, where all members agree, from them.
func (m *module) blockAccess(id uint32, t instruction, d *decorations) Access {
	noWrite, noRead := len(t.args) > 0, len(t.args) > 0
	for i := range t.args {
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

func (m *module) push(v variable) ([]Member, error) {
	id, t, err := m.pointee(v)
	if err != nil {
		return nil, err
	}
	if t.op != opTypeStruct {
		return nil, fmt.Errorf("push constants %q: want a block, got %s", m.variableName(v), m.typeName(id, 0))
	}
	var push []Member
	for i, typ := range t.args {
		f := m.members[id][uint32(i)]
		if f == nil || !f.hasOffset || f.offset > maxNumber {
			return nil, fmt.Errorf("push constant %d: want an offset up to %d, got none or a greater one", i, maxNumber)
		}
		s, ok := m.scalar(typ)
		if !ok || s == Bool {
			return nil, fmt.Errorf("push constant %q: want uint, int or float, got %s", f.name, m.typeName(typ, 0))
		}
		push = append(push, Member{Name: f.name, Offset: int(f.offset), Type: s})
	}
	slices.SortFunc(push, func(a, b Member) int { return a.Offset - b.Offset })
	return push, nil
}

// scalar returns the 4-byte scalar type that an id defines.
func (m *module) scalar(id uint32) (Scalar, bool) {
	t, ok := m.defs[id]
	switch {
	case !ok:
		return 0, false
	case t.op == opTypeBool:
		return Bool, true
	case t.op == opTypeFloat && t.args[0] == 32:
		return Float, true
	case t.op == opTypeInt && t.args[0] == 32 && t.args[1] == 0:
		return Uint, true
	case t.op == opTypeInt && t.args[0] == 32:
		return Int, true
	}
	return 0, false
}

func (m *module) specsInto(r *Module) error {
	for _, id := range m.specs {
		d, in := m.decorationsOf(id), m.defs[id]
		if !d.hasSpec {
			continue // a constant folded from others
		}
		name := m.names[id]
		if d.spec > maxNumber {
			return fmt.Errorf("specialization constant %q: want an id up to %d, got %d", name, maxNumber, d.spec)
		}
		s, ok := m.scalar(in.args[0])
		if !ok || (s == Bool) != (in.op != opSpecConstant) {
			return fmt.Errorf("specialization constant %d %q: want uint, int, float or bool, got %s", d.spec, name, m.typeName(in.args[0], 0))
		}
		c := Constant{ID: int(d.spec), Name: name, Type: s}
		switch in.op {
		case opSpecConstantTrue:
			c.Default = 1
		case opSpecConstant:
			c.Default = in.args[1]
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
