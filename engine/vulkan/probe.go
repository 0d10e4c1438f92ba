package vulkan

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Prober is an executor that can stop between steps, so that a caller can read and write its memory. It implements
// op.Prober.
type Prober struct {
	*Exec
	batch op.Batch // of steps that run alone
	ran   []string // see Kernels
}

var _ op.Prober = (*Prober)(nil)

// Prober returns the executor as a Prober.
func (e *Exec) Prober() *Prober { return &Prober{Exec: e} }

// Plan returns where scratch and state lie in their buffers.
func (e *Prober) Plan() *op.Plan { return e.plan }

// Stage makes b the batch of the steps that follow.
func (e *Prober) Stage(b *op.Batch) error {
	if err := e.stage(b); err != nil {
		return err
	}
	own := &e.batch
	own.Tokens = append(own.Tokens[:0], b.Tokens...)
	own.RowSeq = append(own.RowSeq[:0], b.RowSeq...)
	own.Seqs = append(own.Seqs[:0], b.Seqs...)
	own.Outs = append(own.Outs[:0], b.Outs...)
	return nil
}

// Choices returns the pieces of a step that have several forms, for the staged batch.
func (e *Prober) Choices(step int) []kernel.Choice { return e.steps[step].Choices(shapeOf(&e.batch)) }

// RunStep runs one step alone.
func (e *Prober) RunStep(i int) error { return e.runSteps(i, i+1, false) }

// RunSteps runs the steps [from, to) as Forward does, in one submission.
func (e *Prober) RunSteps(from, to int) error { return e.runSteps(from, to, true) }

func (e *Prober) runSteps(from, to int, inPlace bool) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	e.memory.tables.write(&e.batch)
	c, err := e.recordSteps(shapeOf(&e.batch), from, to, inPlace, false)
	if err != nil {
		return err
	}
	defer c.Release()
	e.ran, e.decode.last = c.Kernels(), nil
	return c.Run()
}

// Kernels returns the names of the kernels that the last RunStep, RunSteps or Decode ran. They are those of
// shaders/variants.txt.
func (e *Prober) Kernels() []string {
	if p := e.decode.last; p != nil {
		var names []string
		for _, c := range p.submissions {
			names = append(names, c.Kernels()...)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return e.ran
}

// place returns the range of an operand's vectors and how many there are.
func (e *Prober) place(o *op.Operand) (gpu.Range, int) {
	if o.Kind == op.State {
		return e.memory.at.Of(o), e.plan.Sizes.Slots
	}
	return e.memory.at.Of(o), e.batch.Count(o.Kind)
}

// Read returns an operand's vectors.
func (e *Prober) Read(o *op.Operand) ([]float32, error) {
	if err := e.checkOpen(); err != nil {
		return nil, err
	}
	if o.Kind == op.Weight {
		return o.Source.Floats()
	}
	r, n := e.place(o)
	all := make([]byte, r.Size)
	if err := e.dev.Download(all, r); err != nil {
		return nil, err
	}
	out := make([]float32, 0, n*o.Width)
	for i := range n {
		out = append(out, gpu.Float32s(all)[i*o.Stride():][:o.Width]...)
	}
	return out, nil
}

// Write sets an operand's vectors.
func (e *Prober) Write(o *op.Operand, data []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if o.Kind == op.Weight {
		return fmt.Errorf("vulkan: write %s: weights are read-only", o)
	}
	r, n := e.place(o)
	if len(data) != n*o.Width {
		return fmt.Errorf("vulkan: write %s: want %d elements, got %d", o, n*o.Width, len(data))
	}
	all := make([]byte, r.Size)
	if err := e.dev.Download(all, r); err != nil {
		return err
	}
	for i := range n {
		copy(gpu.Float32s(all)[i*o.Stride():][:o.Width], data[i*o.Width:])
	}
	return e.dev.Upload(r, all)
}

// Arenas returns copies of the scratch and state memory.
func (e *Prober) Arenas() (scratch, state []float32, err error) {
	if err := e.checkOpen(); err != nil {
		return nil, nil, err
	}
	read := func(b *gpu.Buffer, n int) []float32 {
		data := make([]byte, 4*n)
		if n > 0 && err == nil {
			err = e.dev.Download(data, b.Range(0, 4*n))
		}
		return gpu.Float32s(data)
	}
	scratch = read(e.memory.scratch, e.plan.Scratch)
	state = read(e.memory.state, e.plan.State)
	return scratch, state, err
}

// SetArenas replaces the scratch and state memory.
func (e *Prober) SetArenas(scratch, state []float32) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if len(scratch) != e.plan.Scratch || len(state) != e.plan.State {
		return fmt.Errorf("vulkan: arenas: want %d and %d elements, got %d and %d",
			e.plan.Scratch, e.plan.State, len(scratch), len(state))
	}
	write := func(b *gpu.Buffer, data []float32) error {
		if len(data) == 0 {
			return nil
		}
		return e.dev.Upload(b.Range(0, 4*len(data)), gpu.BytesOf(data))
	}
	if err := write(e.memory.scratch, scratch); err != nil {
		return err
	}
	return write(e.memory.state, state)
}

// WeightSum returns a checksum of all weights as they lie on the device.
func (e *Prober) WeightSum() (uint64, error) {
	if err := e.checkOpen(); err != nil {
		return 0, err
	}
	h := fnv.New64a()
	for _, b := range e.memory.weights {
		data := make([]byte, b.Size())
		if err := e.dev.Download(data, b.All()); err != nil {
			return 0, err
		}
		_, _ = h.Write(data) // never fails
	}
	return h.Sum64(), nil
}
