package vulkan

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// prepared is what each op of the program needs besides its scratch: places of weights and constants.
type prepared struct {
	embeds     map[*op.Embed]*embedOp
	layerNorms map[*op.LayerNorm]normOp
	shiftMixes map[*op.ShiftMix]shiftMixOp
	inPlace    map[*op.Operand]bool // see commitsAlone
	matMuls    map[*op.MatMul][]unit
	wkv4s      map[*op.WKV4]wkv4Op
	wkv6s      map[*op.WKV6]wkv6Op
	wkv7s      map[*op.WKV7]wkv7Op
	deepEmbeds map[*op.DeepEmbed][]layout.Rows
}

// preparer uploads matrices and collects small weights and tables, step by step. It implements op.Backend.
type preparer struct {
	*Exec
	load   *layout.Loader
	parts  []uint32
	sparse map[*op.MatMul]bool // products whose input has many zeros
}

var _ op.Backend = (*preparer)(nil)

func (e *Exec) prepare(progress func(done, all int64) error) (err error) {
	e.ops = prepared{
		embeds: map[*op.Embed]*embedOp{}, layerNorms: map[*op.LayerNorm]normOp{},
		shiftMixes: map[*op.ShiftMix]shiftMixOp{}, inPlace: map[*op.Operand]bool{}, matMuls: map[*op.MatMul][]unit{},
		wkv4s: map[*op.WKV4]wkv4Op{}, wkv6s: map[*op.WKV6]wkv6Op{}, wkv7s: map[*op.WKV7]wkv7Op{},
		deepEmbeds: map[*op.DeepEmbed][]layout.Rows{},
	}
	p := &preparer{Exec: e, load: layout.NewLoader(e.dev, e.prog, progress), sparse: e.prog.SparseInputs()}
	defer func() {
		e.weights = p.load.Buffers
		e.buffers = append(e.buffers, e.weights...)
	}()
	for i := range e.prog.Steps {
		step := &e.prog.Steps[i]
		if err := step.Op.Apply(p); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	if e.params, err = p.load.Params(); err != nil {
		return err
	}
	if len(p.parts) > 0 {
		data := make([]byte, 4*len(p.parts))
		copy(gpu.Uint32s(data), p.parts)
		if e.parts, err = p.load.Buffer("parts", data); err != nil {
			return err
		}
	}
	return nil
}
