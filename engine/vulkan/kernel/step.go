package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Shape is what decides the commands of a batch: the numbers of rows, sequences and outs.
type Shape struct{ Rows, Seqs, Outs int }

// Count returns how many vectors of a kind there are.
func (s Shape) Count(k op.Kind) int {
	switch k {
	case op.Row:
		return s.Rows
	case op.Seq:
		return s.Seqs
	}
	return s.Outs
}

// Single reports whether each sequence has one row.
func (s Shape) Single() bool { return s.Rows == s.Seqs }

// Step is one op of the program on this device.
type Step interface {
	// Choices lists what of the step there are several forms of, for batches of a shape.
	Choices(s Shape) []Choice
	// Record records the step in the forms chosen, one for each of Choices(r.Shape). It is a pure function of them.
	Record(r *Recorder, chosen []tune.Form) error
}

// Choice is a piece of a step of which there are several forms.
type Choice struct {
	tune.Choice
	Work Work // that the forms do, for trials of them
}

// Usual returns the usual forms.
func Usual(list []Choice) []tune.Form {
	forms := make([]tune.Form, len(list))
	for i := range list {
		forms[i] = list[i].Forms[0]
	}
	return forms
}

// Work is what a choice is about: a *Dense, a *Zeros or a *Chain.
type Work interface {
	// Provide makes what a form reads besides the weights, if it is not there.
	Provide(f tune.Form) error
}

// fixed is a step of which there is one form.
type fixed struct{}

func (fixed) Choices(Shape) []Choice { return nil }

// Recorder records steps for batches of one shape.
type Recorder struct {
	Rec   *gpu.Recording
	Shape Shape
	At    *Places
	// InPlace reports whether the steps are some of all, which run before and after them: shifts may be committed at once.
	InPlace bool
	env     *Env
}

// Texel reports whether an op should bind its inputs as texels: if that is the device's way and all of them fit.
func (r *Recorder) Texel(inputs ...profile.Texel) bool { return r.env.Texel(inputs...) }

// Texel reports whether some inputs should be bound as texels.
func (e *Env) Texel(inputs ...profile.Texel) bool {
	return e.Loads == profile.Texels && profile.Fits(e.Set.Dev.Info().Limits, inputs...)
}

// texels is a range that would be bound as texels of some bytes each.
func texels(r gpu.Range, bytes int) profile.Texel { return profile.Texel{Range: r, Bytes: bytes} }

func floats(r gpu.Range) profile.Texel { return texels(r, 4) }

// Places says where on the device a batch's vectors and tables lie.
type Places struct {
	Plan    *op.Plan
	Scratch *gpu.Buffer
	State   []gpu.Range // by the ID of the operand

	Tokens, RowSeq, Spans, Outs gpu.Range // tables of the batch
}

// Of returns where an operand's vectors lie.
func (p *Places) Of(o *op.Operand) gpu.Range {
	if o.Kind == op.State {
		return p.State[o.ID]
	}
	return p.Scratch.Range(4*p.Plan.Offset[o.ID], 4*p.Plan.Extent(o))
}

// StatesIn returns where a plan's states lie in a buffer, from some byte on.
func StatesIn(b *gpu.Buffer, at int, prog *op.Program, plan *op.Plan) []gpu.Range {
	list := make([]gpu.Range, len(prog.Operands))
	for _, o := range prog.Of(op.State) {
		list[o.ID] = b.Range(at+4*plan.Offset[o.ID], 4*plan.Extent(o))
	}
	return list
}

// Env is what the steps of an executor have in common.
type Env struct {
	Set   *Set
	Prog  *op.Program
	Plan  *op.Plan
	Loads profile.Loads
	On    string // begins the keys of choices: device, driver, way to load
	Tuned bool   // reports whether forms are chosen by measuring
	Exact bool   // reports whether a row's numbers do not depend on the number of rows: see package form
	// Forced forms, in tests: of products, and of RWKV-7's recurrence; "" where they are chosen.
	MatMul, Recur string
	HasRoom       func(bytes int) bool // reports whether the device has memory to spare

	params, parts gpu.Range
	products      []*Product // all, in the program's order
	panels        panelRoom
	chunks        *gpu.Buffer // of a recurrence; nil before one is done by chunks
}

// Recorder returns a recorder of steps for batches of a shape, at their places.
func (e *Env) Recorder(rec *gpu.Recording, s Shape, at *Places) *Recorder {
	return &Recorder{Rec: rec, Shape: s, At: at, env: e}
}

// Release frees what forms were provided with.
func (e *Env) Release() {
	for _, p := range e.products {
		p.drop()
	}
	e.chunks.Release()
	e.chunks = nil
}

// Set holds a device's kernels and chooses their constants.
type Set struct {
	*pipeline.Set
	shape form.Chooser
	heads form.Heads
}

// Forms returns what chooses their forms.
func (k *Set) Forms() form.Chooser { return k.shape }

// NewSet returns the kernels of a device.
func NewSet(dev *gpu.Device) *Set {
	s := pipeline.New(dev)
	return &Set{Set: s, shape: form.Chooser{Profile: &s.Is}, heads: form.Heads{Profile: &s.Is}}
}
