package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// panels are a copy of a unit's weights in which those that meet one element of the input lie side by side
// (shaders/matmul_panels.comp), made on the device from the weights there.
type panels struct {
	buf  *gpu.Buffer
	rows uint32 // of a panel
}

// onePlain tells whether a unit is one product of a plain type: only of those there is a sparse form.
func (u *unit) onePlain() bool { return len(u.Parts) == 1 && !u.Type.IsBlock() }

// panelBytes returns the size of a unit's weights in panels of so many rows.
func (u *unit) panelBytes(rows uint32) int {
	part := &u.Parts[0]
	return (part.Rows + int(rows) - 1) / int(rows) * int(rows) * layout.RowBytes(part.W)
}

// wide returns how many lanes read one row of a panel together, 8 elements each.
func (s *kernelShape) wide(rows uint32) uint32 { return min(rows/8, s.Lanes) }

// sparseForms returns the sparse forms worth measuring.
func (s *kernelShape) sparseForms() []matMulForm {
	rows := []uint32{32, 64}
	if s.CPU { // a workgroup is one subgroup, and looks for the zeros alone
		rows = []uint32{16 * s.Lanes, 32 * s.Lanes, 48 * s.Lanes}
	}
	var list []matMulForm
	for _, r := range rows {
		if s.wide(r)*8*maxPanelUnits >= r {
			list = append(list, matMulForm{kernel: Sparse, rows: r, tokens: 1})
		}
	}
	return list
}

// maxPanelUnits is MAX_UNITS of shaders/matmul_sparse.comp.
const maxPanelUnits = 8

// inPanels returns a unit's weights in panels of so many rows, made if they are not there.
func (e *Exec) inPanels(u *unit, rows uint32) (gpu.Range, error) {
	if u.panels.buf != nil && u.panels.rows == rows {
		return u.panels.buf.All(), nil
	}
	e.dropPanels(u)
	k, err := e.kernels.matMulPanels(u.Stored)
	if err != nil {
		return gpu.Range{}, err
	}
	part := &u.Parts[0]
	b, err := e.dev.NewBuffer(part.W.Name+" (panels)", u.panelBytes(rows), gpu.DeviceLocal)
	if err != nil {
		return gpu.Range{}, err
	}
	units := layout.Words(part.W)
	rec := e.dev.NewRecording()
	rec.SetName("panels of " + part.W.Name)
	k.Dispatch(rec, shaders.MatmulPanelsArgs{W: u.W, P: b.All()}, shaders.MatmulPanelsPush{
		First: uint32(part.Weight / layout.WordBytes), Rows: uint32(part.Rows), Units: uint32(units), Wide: rows / 8},
		groupsOf(units, e.kernels.shape.Local.Plain), uint32(u.panelBytes(rows)/layout.RowBytes(part.W)/8), 1)
	if err := rec.Run(); err != nil {
		b.Release()
		return gpu.Range{}, err
	}
	u.panels = panels{b, rows}
	return b.All(), nil
}

func (e *Exec) dropPanels(u *unit) {
	if u.panels.buf != nil {
		u.panels.buf.Release()
		u.panels = panels{}
	}
}

// releasePanels frees all units' copies.
func (e *Exec) releasePanels() {
	for _, units := range e.ops.matMuls {
		for i := range units {
			e.dropPanels(&units[i])
		}
	}
}

// sparseProduct records a unit's dispatch for one token in a sparse form.
func (e *Exec) sparseProduct(rec *gpu.Recording, u *unit, args shaders.MatmulVecArgs, f matMulForm) error {
	w, err := e.inPanels(u, f.rows)
	if err != nil {
		return err
	}
	args.W = w
	k, err := e.kernels.matMulSparse(u.Type, e.matMulTexel(args), f)
	if err != nil {
		return err
	}
	k.Dispatch(rec, shaders.MatmulSparseArgs(args), shaders.MatmulSparsePush{Part: uint32(u.first), Count: 1, Tokens: 1},
		groupsOf(u.Parts[0].Rows, f.rows), 1, 1)
	return nil
}

func (k *Kernels) matMulSparse(t tensor.Type, texel bool, f matMulForm) (*shaders.MatmulSparse, error) {
	v, err := variant(t, texel && !k.shape.FewRegisters, shaders.Variants[shaders.MatmulSparseVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulSparseSpec{Local: k.shape.Local.Norm, Wide: k.shape.wide(f.rows), Ahead: 4}
	spec.Units = f.rows / 8 / spec.Wide
	if k.shape.CPU {
		spec.Ahead = 1
	}
	return kernel(k, formKey[shaders.MatmulSparseVariant]{v: v, f: f}, func() (*shaders.MatmulSparse, error) {
		return shaders.NewMatmulSparse(k.dev, v, spec, k.full()...)
	})
}

func (k *Kernels) matMulPanels(w layout.Stored) (*shaders.MatmulPanels, error) {
	v := form(w.Type == tensor.F32, shaders.MatmulPanelsHalf, shaders.MatmulPanelsWord)
	return kernel(k, formKey[shaders.MatmulPanelsVariant]{v: v, band: w.Band}, func() (*shaders.MatmulPanels, error) {
		return shaders.NewMatmulPanels(k.dev, v, shaders.MatmulPanelsSpec{Local: k.shape.Local.Plain, Band: uint32(w.Band)})
	})
}
