package vulkan

import (
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Stage makes b the batch of the steps that follow.
func (e *Exec) Stage(b *op.Batch) error {
	if err := e.stage(b); err != nil {
		return err
	}
	e.batch.Tokens = append(e.batch.Tokens[:0], b.Tokens...)
	e.batch.RowSeq = append(e.batch.RowSeq[:0], b.RowSeq...)
	e.batch.Seqs = append(e.batch.Seqs[:0], b.Seqs...)
	e.batch.Outs = append(e.batch.Outs[:0], b.Outs...)
	return nil
}

// RunStep runs one step alone.
func (e *Exec) RunStep(i int) error { return e.runSteps(i, i+1, false) }

// RunSteps runs the steps [from, to) as Forward does, in one submission.
func (e *Exec) RunSteps(from, to int) error { return e.runSteps(from, to, true) }

func (e *Exec) runSteps(from, to int, inPlace bool) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	e.tables.write(&e.batch)
	r := e.alone(shape{len(e.batch.Tokens), len(e.batch.Seqs), len(e.batch.Outs)}, from, to)
	r.inPlace = r.inPlace || inPlace
	c, err := r.steps(from, to, false)
	if err != nil {
		return err
	}
	defer c.Release()
	e.ran, e.decode.last = c.Kernels(), nil
	return c.Run()
}

// Kernels returns the names of the kernels that the last RunStep, RunSteps or Decode ran, as shaders/variants.txt has them.
func (e *Exec) Kernels() []string {
	if p := e.decode.last; p != nil {
		var names []string
		for _, c := range p.parts {
			names = append(names, c.Kernels()...)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	return e.ran
}

// place returns the range of an operand's vectors and how many there are.
func (e *Exec) place(o *op.Operand) (gpu.Range, int) {
	if o.Kind == op.State {
		return e.stateOf(o), e.plan.Sizes.Slots
	}
	return e.scratchOf(o), e.batch.Count(o.Kind)
}

// Read returns an operand's vectors.
func (e *Exec) Read(o *op.Operand) ([]float32, error) {
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
func (e *Exec) Write(o *op.Operand, data []float32) error {
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
func (e *Exec) Arenas() (scratch, state []float32, err error) {
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
	scratch = read(e.scratch, e.plan.Scratch)
	state = read(e.state, e.plan.State)
	return scratch, state, err
}

// SetArenas replaces the scratch and state memory.
func (e *Exec) SetArenas(scratch, state []float32) error {
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
	if err := write(e.scratch, scratch); err != nil {
		return err
	}
	return write(e.state, state)
}

// WeightSum returns a checksum of all weights as they lie on the device.
func (e *Exec) WeightSum() (uint64, error) {
	if err := e.checkOpen(); err != nil {
		return 0, err
	}
	h := fnv.New64a()
	for _, b := range e.weights {
		data := make([]byte, b.Size())
		if err := e.dev.Download(data, b.All()); err != nil {
			return 0, err
		}
		_, _ = h.Write(data) // never fails
	}
	return h.Sum64(), nil
}
