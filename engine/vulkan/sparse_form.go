package vulkan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// panelRoom is what is known of the memory for panels.
type panelRoom struct {
	asked, spare bool
	bytes        int // of all of them
}

// fitsPanels tells whether the device can bind a unit's weights in panels of so many rows, and make them.
func (e *Exec) fitsPanels(u *unit, rows uint32) bool {
	l, n := e.dev.Info().Limits, u.panelBytes(rows)
	return n <= min(l.MaxStorageBufferRange, l.MaxAllocationSize) && n/layout.RowBytes(u.Parts[0].W)/8 <= l.MaxWorkgroupCount[1]
}

// roomForPanels tells whether the device has memory to spare for a copy of every unit whose input has many zeros: as much
// again stays free. Kernels for more tokens read weights by rows, so both forms are kept or the first one alone.
func (e *Exec) roomForPanels() bool {
	r := &e.panels
	if r.asked {
		return r.spare
	}
	for _, units := range e.ops.matMuls {
		for i := range units {
			if units[i].sparse {
				r.bytes += units[i].Bytes
			}
		}
	}
	r.asked, r.spare = true, e.kernels.HasRoom(2*r.bytes)
	return r.spare
}

// zerosForm is a form of a product whose input has many zeros: a sparse one, or whichever dense one is the best.
type zerosForm struct{ matMulForm }

func (f zerosForm) kept() tuned {
	if f.kernel != Sparse {
		return tuned{Kernel: "dense"}
	}
	return f.matMulForm.kept()
}

// sparseForm returns the form for one token of a unit that of the others runs best in a dense one: that, or a sparse form
// where it is found faster; and what is to be measured for a better one.
func (e *Exec) sparseForm(u *unit, dense matMulForm) (matMulForm, *wish, error) {
	forms := e.sparseForms(u)
	if e.matMul == Sparse && len(forms) > 0 {
		return forms[0], nil, nil
	}
	if e.matMul != Auto || e.tuner == nil || !u.sparse || len(forms) == 0 || !e.roomForPanels() {
		return dense, nil, nil
	}
	list := []zerosForm{{dense}}
	for _, f := range forms {
		list = append(list, zerosForm{f})
	}
	key := e.tuningKey(u, 1) + ", many zeros"
	f, open := choice(e, key, few, list, func() (contest[zerosForm], error) { return e.newSparseTrial(u) })
	if open != nil {
		measure := open.measure
		open.measure = func(ctx context.Context, until time.Time) error {
			err := measure(ctx, until)
			e.afterSparse(u, key, err)
			return err
		}
	}
	g, err := e.withPanels(u, f.matMulForm, dense)
	return g, open, err
}

// afterSparse gives back what sparse forms read unless the best one so far is of them, and tells of it when that is certain.
func (e *Exec) afterSparse(u *unit, key string, err error) {
	found, _ := e.tuner.known(key)
	switch {
	case err != nil || found.Kernel != Sparse.String():
		for _, v := range e.alikeUnits(u) {
			e.dropPanels(v)
		}
	case found.Next == 0:
		e.tuner.tell(fmt.Sprintf("skipping what meets zeros in decode is faster on %s: %d MiB of weights are kept twice there",
			e.Device(), (e.panels.bytes+1<<19)>>20))
	}
}

// sparseForms returns the sparse forms that a unit may run in.
func (e *Exec) sparseForms(u *unit) (list []matMulForm) {
	if !u.onePlain() || !e.dev.Info().Subgroup.HasOp("ballot") {
		return nil
	}
	for _, f := range e.kernels.shape.sparseForms() {
		if e.fitsPanels(u, f.rows) {
			list = append(list, f)
		}
	}
	return list
}

// withPanels returns the form, or the dense one where there is no memory for what it reads.
func (e *Exec) withPanels(u *unit, f, dense matMulForm) (matMulForm, error) {
	if f.kernel != Sparse {
		return f, nil
	}
	_, err := e.inPanels(u, f.rows)
	if refused(err) {
		return dense, nil
	}
	return f, err
}

// sparseTrial is a trial for one token and an input such as the model has.
type sparseTrial struct{ *trial }

func (e *Exec) newSparseTrial(u *unit) (sparseTrial, error) {
	x, err := e.activations(u)
	if err != nil {
		return sparseTrial{}, err
	}
	t := e.newTrial(u, 1)
	view := u.Parts[0].X
	at := 4*(e.plan.Offset[view.Of.ID]+view.Off) - t.span.Offset
	tensor.F32.Encode(t.input[at:][:tensor.F32.Bytes(len(x))], x)
	return sparseTrial{t}, nil
}

// form returns what a form is now: the dense one may have been measured since the list was made.
func (t sparseTrial) form(f zerosForm) matMulForm {
	if f.kernel != Sparse {
		dense, _ := t.e.form(t.u, 1)
		return dense
	}
	return f.matMulForm
}

func (t sparseTrial) probe(f zerosForm) (time.Duration, error) { return t.trial.probe(t.form(f)) }

func (t sparseTrial) results(f zerosForm) ([]float32, error) { return t.trial.results(t.form(f)) }

func (t sparseTrial) time(f zerosForm, limit time.Duration) (time.Duration, error) {
	return t.trial.time(t.form(f), limit)
}

// activations returns the input that the staged batch's first row gives to a unit such as u, of a layer in the middle. It
// runs the steps before that and puts the state back.
func (e *Exec) activations(u *unit) (x []float32, err error) {
	var like []int // steps
	for i := range e.prog.Steps {
		o, ok := e.prog.Steps[i].Op.(*op.MatMul)
		if ok && slices.ContainsFunc(e.ops.matMuls[o], func(v unit) bool { return v.sparse && e.tuningKey(&v, 1) == e.tuningKey(u, 1) }) {
			like = append(like, i)
		}
	}
	middle := like[len(like)/2]
	kept, err := e.dev.NewBuffer("state (kept)", e.state.Size(), gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	defer kept.Release()
	move := func(to, from *gpu.Buffer) error {
		rec := e.dev.NewRecording()
		rec.SetName("copy of the state for a tuning trial")
		rec.Copy(to.All(), from.All())
		return rec.Run()
	}
	if err := move(kept, e.state); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, spoilt(move(e.state, kept))) }()
	c, err := e.record(shape{rows: 1, seqs: 1}, 0, middle)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := c.Run(); err != nil {
		return nil, err
	}
	in := e.prog.Steps[middle].Op.(*op.MatMul).Parts[0].X
	data := make([]byte, tensor.F32.Bytes(in.Len))
	if err := e.dev.Download(data, e.scratch.Range(4*(e.plan.Offset[in.Of.ID]+in.Off), len(data))); err != nil {
		return nil, err
	}
	return gpu.Float32s(data), nil
}
