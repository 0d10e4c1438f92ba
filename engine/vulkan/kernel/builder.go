package kernel

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// builder makes ops into steps and brings their weights to the device. It implements op.Backend.
type builder struct {
	env    *Env
	load   *layout.Loader
	parts  []uint32            // the table of all products' parts
	sparse map[*op.MatMul]bool // products whose input has many zeros
	at     int                 // of the program
	made   Step
}

var _ op.Backend = (*builder)(nil)

// Steps makes the program's steps. The loader's buffers have the weights that the steps need on the device.
func Steps(e *Env, load *layout.Loader) ([]Step, error) {
	b := &builder{env: e, load: load, sparse: e.Prog.SparseInputs()}
	steps := make([]Step, len(e.Prog.Steps))
	of := map[op.Op]Step{} // one op may stand in several steps
	for i := range e.Prog.Steps {
		s := &e.Prog.Steps[i]
		if of[s.Op] == nil {
			b.at = i
			if err := s.Op.Apply(b); err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			of[s.Op] = b.made
		}
		steps[i] = of[s.Op]
	}
	return steps, b.tables()
}

// tables makes the tables that all steps read.
func (b *builder) tables() error {
	if len(b.parts) > 0 {
		data := make([]byte, 4*len(b.parts))
		copy(gpu.Uint32s(data), b.parts)
		parts, err := b.load.Buffer("parts", data)
		if err != nil {
			return err
		}
		b.env.parts = parts.All()
	}
	params, err := b.load.Params()
	if err != nil {
		return err
	}
	b.env.params = b.env.parts // a program without params binds something else
	if params != nil {
		b.env.params = params.All()
	}
	return nil
}
