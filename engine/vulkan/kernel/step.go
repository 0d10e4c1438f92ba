package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
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
	// Choices lists the pieces of the step that have several forms, for batches of a shape.
	Choices(s Shape) []Choice
	// Record records the step in the chosen forms, one for each of Choices(r.Shape). It is a pure function of the recorder
	// and the forms.
	Record(r *Recorder, chosen []tune.Form) error
}

// Choice is a piece of a step that has several forms.
type Choice struct {
	tune.Choice
	Work Work // what the forms do; trials run it
}

// Usual returns the usual form of each choice.
func Usual(list []Choice) []tune.Form {
	forms := make([]tune.Form, len(list))
	for i := range list {
		forms[i] = list[i].Forms[0]
	}
	return forms
}

// Work is the piece of work of a choice: a *Dense, a *Zeros or a *Chain.
type Work interface {
	// Provide makes what a form reads besides the weights, if it does not exist.
	Provide(f tune.Form) error
}

// fixed is a step with one form.
type fixed struct{}

func (fixed) Choices(Shape) []Choice { return nil }

// Recorder records steps for batches of one shape.
type Recorder struct {
	Rec   *gpu.Recording
	Shape Shape
	At    *Places
	// InPlace reports whether the other steps of the program run before and after these. Then shifts may be committed in
	// place.
	InPlace bool
	env     *Env
}

// Texel reports whether an op should bind its inputs as texels: that is the device's way to load, and all inputs fit.
func (r *Recorder) Texel(inputs ...profile.Texel) bool { return r.env.Texel(inputs...) }

// Texel reports whether inputs should be bound as texels.
func (e *Env) Texel(inputs ...profile.Texel) bool {
	return e.Loads == profile.Texels && profile.Fits(e.Set.Dev.Info().Limits, inputs...)
}

// texels is a range that would be bound as texels of some bytes each.
func texels(r gpu.Range, bytes int) profile.Texel { return profile.Texel{Range: r, Bytes: bytes} }

func floats(r gpu.Range) profile.Texel { return texels(r, 4) }

// Places says where the vectors and tables of a batch lie on the device.
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

// StatesIn returns where the states of a plan lie in a buffer. They begin at byte at.
func StatesIn(b *gpu.Buffer, at int, prog *op.Program, plan *op.Plan) []gpu.Range {
	list := make([]gpu.Range, len(prog.Operands))
	for _, o := range prog.Of(op.State) {
		list[o.ID] = b.Range(at+4*plan.Offset[o.ID], 4*plan.Extent(o))
	}
	return list
}

// Env is what the steps of an executor have in common.
type Env struct {
	Set     *Set
	Prog    *op.Program
	Plan    *op.Plan
	Loads   profile.Loads
	On      string // begins the keys of choices: device, driver, way to load
	Tuned   bool   // reports whether forms are chosen by measuring
	Exact   bool   // reports whether a row's numbers do not depend on the number of rows: see package form
	Half    bool   // reports whether products of many tokens may round numbers to float16 once
	Forced  Forced
	HasRoom func(bytes int) bool // reports whether the device has memory to spare

	params, parts gpu.Range
	products      []*Product // all, in the program's order
	panels        panelRoom
	chunks        *gpu.Buffer // of a recurrence; nil before one is done by chunks
}

// Forced are forms that tests force, of products and of RWKV-7's recurrence: "" where they are chosen.
type Forced struct{ MatMul, Recur string }

// Recorder returns a recorder of steps for batches of a shape, at their places.
func (e *Env) Recorder(rec *gpu.Recording, s Shape, at *Places) *Recorder {
	return &Recorder{Rec: rec, Shape: s, At: at, env: e}
}

// Release frees what was provided for forms.
func (e *Env) Release() {
	for _, p := range e.products {
		p.drop()
	}
	e.chunks.Release()
	e.chunks = nil
}

// Set has a device's kernels, and chooses their constants.
type Set struct {
	*pipeline.Set
	Unfit *unfit.Known // what gave wrong results on the device
	forms form.Chooser
	heads form.Heads
}

// Forms returns the chooser of their forms.
func (k *Set) Forms() form.Chooser { return k.forms }

// NewSet returns the kernels of a device.
func NewSet(dev *gpu.Device) *Set {
	s := pipeline.New(dev)
	return &Set{Set: s, Unfit: &unfit.Known{}, forms: form.Chooser{Profile: &s.Is}, heads: form.Heads{Profile: &s.Is}}
}
