package kernel

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// panels are a copy of a product's weights, in which the weights that meet one element of the input lie side by side
// (shaders/matmul_panels.comp). The device makes the copy from the weights.
type panels struct {
	buf  *gpu.Buffer // nil: none
	rows uint32      // of a panel
}

func (p panels) all() gpu.Range {
	if p.buf == nil {
		return gpu.Range{}
	}
	return p.buf.All()
}

// onePlain reports whether a product has one part, of a plain type. Only such products have a sparse form.
func (u *Product) onePlain() bool { return len(u.Parts) == 1 && !u.Type.IsBlock() }

// panelBytes returns the size of a product's weights in panels of so many rows.
func (u *Product) panelBytes(rows uint32) int {
	part := &u.Parts[0]
	return (part.Rows + int(rows) - 1) / int(rows) * int(rows) * layout.RowBytes(part.W)
}

// MakePanels makes a copy of a product's weights in panels of so many rows.
func (u *Product) MakePanels(rows uint32) (*gpu.Buffer, error) {
	set, part := u.env.Set, &u.Parts[0]
	k, err := set.matMulPanels(u.Stored)
	if err != nil {
		return nil, err
	}
	b, err := set.Dev.NewBuffer(part.W.Name+" (panels)", u.panelBytes(rows), gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	words := layout.Words(part.W)
	rec := set.Dev.NewRecording()
	rec.SetName("panels of " + part.W.Name)
	k.Dispatch(rec, shaders.MatmulPanelsArgs{W: u.W, P: b.All()}, shaders.MatmulPanelsPush{
		First: uint32(part.Weight / layout.WordBytes), Rows: uint32(part.Rows), Units: uint32(words), Wide: rows / 8},
		pipeline.Groups(words, set.Is.Local.Plain), uint32(u.panelBytes(rows)/layout.RowBytes(part.W)/8), 1)
	if err := rec.Run(); err != nil {
		b.Release()
		return nil, err
	}
	return b, nil
}

// drop frees the panels.
func (u *Product) drop() {
	u.panels.buf.Release()
	u.panels = panels{}
}

// recordSparse records a product's dispatch for one token in a sparse form.
func (u *Product) recordSparse(rec *gpu.Recording, args shaders.MatmulVecArgs, w gpu.Range, f tune.Form) error {
	args.W = w
	k, err := u.env.Set.matMulSparse(u.Type, u.env.matMulTexel(args), f)
	if err != nil {
		return err
	}
	k.Dispatch(rec, shaders.MatmulSparseArgs(args), shaders.MatmulSparsePush{Part: uint32(u.first), Tokens: 1},
		pipeline.Groups(u.Parts[0].Rows, f.Rows), 1, 1)
	return nil
}

// panelRoom is what is known of the memory for panels.
type panelRoom struct {
	asked, spare bool
	bytes        int // of all of them
}

// fitsPanels reports whether the device can make and bind a product's weights in panels of so many rows.
func (u *Product) fitsPanels(rows uint32) bool {
	l, n := u.env.Set.Dev.Info().Limits, u.panelBytes(rows)
	return n <= min(l.MaxStorageBufferRange, l.MaxAllocationSize) && n/layout.RowBytes(u.Parts[0].W)/8 <= l.MaxWorkgroupCount[1]
}

// roomForPanels reports whether the device has memory to spare for a copy of every product whose input has many zeros,
// and as much again stays free. The first copy has to stay, since kernels for more tokens read weights by rows.
func (e *Env) roomForPanels() bool {
	r := &e.panels
	if r.asked {
		return r.spare
	}
	for _, u := range e.products {
		if u.sparse {
			r.bytes += u.Bytes
		}
	}
	r.asked, r.spare = true, e.HasRoom(2*r.bytes)
	return r.spare
}

// Zeros is a product of one token whose input has many zeros.
type Zeros struct{ *Product }

// dense stands for the best of the forms that skip nothing.
const dense = "dense"

// zeros returns the forms for an input with many zeros. ok is false if there are none for n tokens.
func (u *Product) zeros(n uint32) (choice Choice, ok bool) {
	e := u.env
	if n != 1 || e.Exact || e.Forced.MatMul != "" && e.Forced.MatMul != form.Sparse {
		return Choice{}, false
	}
	forms := e.Set.Unfit.Fit(e.Loads.String(), u.Type.String(), u.sparseForms())
	c := tune.Choice{Device: e.Set.Dev.Info().Name, Key: u.key(1) + ", many zeros", On: e.On, Kind: tune.Few}
	switch {
	case len(forms) == 0:
		return Choice{}, false
	case e.Forced.MatMul == form.Sparse:
		if c.Forms = forms; !e.Tuned {
			c.Forms = forms[:1]
		}
	case !e.Tuned || !u.sparse || !e.roomForPanels():
		return Choice{}, false
	default:
		c.Forms = append([]tune.Form{{Kernel: dense}}, forms...)
		c.Found = func(f tune.Form) string {
			if f.Kernel != form.Sparse {
				return ""
			}
			return fmt.Sprintf("skipping what meets zeros in decode is faster on %s: %d MiB of weights are kept twice there",
				e.Set.Dev.Info().Name, (e.panels.bytes+1<<19)>>20)
		}
	}
	return Choice{c, &Zeros{u}}, true
}

// sparseForms returns the sparse forms that a product may run in.
func (u *Product) sparseForms() (list []tune.Form) {
	if !u.onePlain() || !u.env.Set.Dev.Info().Subgroup.HasOp("ballot") {
		return nil
	}
	for _, f := range u.env.Set.forms.Sparse() {
		if u.fitsPanels(f.Rows) {
			list = append(list, f)
		}
	}
	return list
}

// Provide makes the copy of the weights in panels for a sparse form. It frees a copy for another form.
func (z *Zeros) Provide(f tune.Form) error {
	if f.Kernel != form.Sparse || z.panels.buf != nil && z.panels.rows == f.Rows {
		return nil
	}
	b, err := z.MakePanels(f.Rows)
	if err != nil {
		return err
	}
	z.drop()
	z.panels = panels{b, f.Rows}
	return nil
}

// PanelRows returns how many rows the provided panels have; 0 means that there are none.
func (z *Zeros) PanelRows() uint32 { return z.panels.rows }

// Input returns the input of a product, and how many steps come before it. The product is one of those alike, in the
// middle of the program.
func (z *Zeros) Input() (steps int, in op.View) {
	var like []*Product
	for _, u := range z.env.products {
		if u.sparse && u.key(1) == z.key(1) {
			like = append(like, u)
		}
	}
	middle := like[len(like)/2]
	return middle.step, middle.Parts[0].X
}

// Dense returns the choice among the forms that skip nothing.
func (z *Zeros) Dense() Choice { return z.choice(1) }

func (k *Set) matMulSparse(t tensor.Type, texel bool, f tune.Form) (*shaders.MatmulSparse, error) {
	v, err := pipeline.Variant(t, texel && !k.Is.FewRegisters, shaders.Variants[shaders.MatmulSparseVariant]())
	if err != nil {
		return nil, err
	}
	spec := shaders.MatmulSparseSpec{Local: k.forms.Local.Norm, Wide: k.forms.Wide(f.Rows), Ahead: 4}
	spec.Units = f.Rows / 8 / spec.Wide
	if k.forms.CPU {
		spec.Ahead = 1
	}
	return pipeline.Get(k.Set, formKey[shaders.MatmulSparseVariant]{v: v, f: f}, func() (*shaders.MatmulSparse, error) {
		return shaders.NewMatmulSparse(k.Dev, v, spec, k.Full()...)
	})
}

func (k *Set) matMulPanels(w layout.Stored) (*shaders.MatmulPanels, error) {
	v := pipeline.Way(w.Type == tensor.F32, shaders.MatmulPanelsHalf, shaders.MatmulPanelsWord)
	return pipeline.Get(k.Set, formKey[shaders.MatmulPanelsVariant]{v: v, band: w.Band}, func() (*shaders.MatmulPanels, error) {
		return shaders.NewMatmulPanels(k.Dev, v, shaders.MatmulPanelsSpec{Local: k.forms.Local.Plain, Band: uint32(w.Band)})
	})
}
