package spirv

import "fmt"

// localSizeInto finds the workgroup size. The constant decorated WorkgroupSize overrides the execution modes.
func (m *declarations) localSizeInto(r *Module) error {
	constants, err := m.workgroupSize()
	if err != nil {
		return err
	}
	if constants == nil && m.local.Op == modeLocalSizeID {
		constants = m.local.Args
	}
	if constants != nil {
		return m.localSizeFrom(r, constants)
	}
	if m.local.Op != modeLocalSize || len(m.local.Args) != len(r.LocalSize) {
		return fmt.Errorf("workgroup size: want LocalSize x y z, LocalSizeId or WorkgroupSize, got none")
	}
	for i, n := range m.local.Args {
		r.LocalSize[i] = Size{Value: n, Spec: -1}
	}
	return nil
}

// workgroupSize returns the ids of the components of the constant decorated WorkgroupSize, or nil without one.
func (m *declarations) workgroupSize() ([]uint32, error) {
	var found []uint32
	for id, d := range m.decorated {
		if !d.workgroupSize {
			continue
		}
		in, ok := m.defs[id]
		if !ok || in.Op != opConstantComposite && in.Op != opSpecConstantComposite {
			return nil, fmt.Errorf("workgroup size: want a composite constant, got opcode %d", in.Op)
		}
		if found != nil {
			return nil, fmt.Errorf("workgroup size: want one constant, got a second")
		}
		found = in.Args[1:]
	}
	return found, nil
}

// localSizeFrom takes the size from three constants, any of which may be a specialization constant.
func (m *declarations) localSizeFrom(r *Module, constants []uint32) error {
	if len(constants) != len(r.LocalSize) {
		return fmt.Errorf("workgroup size: want %d values, got %d", len(r.LocalSize), len(constants))
	}
	for i, id := range constants {
		in, ok := m.defs[id]
		plain := ok && (in.Op == opConstant || in.Op == opSpecConstant)
		if !plain || m.scalar(in.Args[0]) != Uint {
			return fmt.Errorf("workgroup size %c: want a constant uint, got id %%%d", "xyz"[i], id)
		}
		r.LocalSize[i] = Size{Value: in.Args[1], Spec: -1}
		if d := m.decorationsOf(id); in.Op == opSpecConstant && d.hasSpec {
			c := r.constant(int(d.spec))
			if c.Name == "" {
				c.Name = "local_" + "xyz"[i:i+1]
			}
			r.LocalSize[i] = Size{Value: c.Default, Spec: c.ID}
		}
	}
	return nil
}

// constant returns the specialization constant of an id that specsInto has seen.
func (r *Module) constant(id int) *Constant {
	for i := range r.Spec {
		if r.Spec[i].ID == id {
			return &r.Spec[i]
		}
	}
	return &Constant{}
}
