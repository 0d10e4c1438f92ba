package vulkan

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
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
	deepEmbeds map[*op.DeepEmbed][]piece
}

// preparer uploads matrices and collects small weights and tables, step by step. It implements op.Backend.
type preparer struct {
	*Exec
	params   []float32
	parts    []uint32
	sparse   map[*op.MatMul]bool // products whose input has many zeros
	counted  map[*op.Operand]int // bytes in done
	done     int64
	all      int64
	progress func(done, all int64) error
}

var _ op.Backend = (*preparer)(nil)

func (e *Exec) prepare(progress func(done, all int64) error) error {
	e.ops = prepared{
		embeds: map[*op.Embed]*embedOp{}, layerNorms: map[*op.LayerNorm]normOp{},
		shiftMixes: map[*op.ShiftMix]shiftMixOp{}, inPlace: map[*op.Operand]bool{}, matMuls: map[*op.MatMul][]unit{},
		wkv4s: map[*op.WKV4]wkv4Op{}, wkv6s: map[*op.WKV6]wkv6Op{}, wkv7s: map[*op.WKV7]wkv7Op{},
		deepEmbeds: map[*op.DeepEmbed][]piece{},
	}
	p := &preparer{Exec: e, progress: progress, counted: map[*op.Operand]int{}, sparse: e.prog.SparseInputs()}
	for _, w := range e.prog.Of(op.Weight) {
		p.all += int64(w.Source.Type.Bytes(w.Width))
	}
	for i := range e.prog.Steps {
		step := &e.prog.Steps[i]
		if err := step.Op.Apply(p); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	var err error
	if len(p.params) > 0 {
		data := make([]byte, tensor.F32.Bytes(len(p.params)))
		tensor.F32.Encode(data, p.params)
		if e.params, err = p.upload("params", data); err != nil {
			return err
		}
	}
	if len(p.parts) > 0 {
		data := make([]byte, 4*len(p.parts))
		copy(gpu.Uint32s(data), p.parts)
		if e.parts, err = p.upload("parts", data); err != nil {
			return err
		}
	}
	return nil
}

// upload makes a weight buffer of data.
func (p *preparer) upload(name string, data []byte) (*gpu.Buffer, error) {
	b, err := p.buffer(name, len(data), gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	p.weights = append(p.weights, b)
	return b, p.dev.Upload(b.All(), data)
}

// vector places a weight vector among the params, padded, and returns its offset in elements. Every element must be finite.
func (p *preparer) vector(w *op.Operand) (uint32, error) {
	at := len(p.params)
	p.params = append(p.params, make([]float32, w.Stride())...)
	return uint32(at), w.Source.Use(func(data []byte) error {
		if i := w.Source.Type.CheckFinite(data); i >= 0 {
			return &op.NotFiniteError{Tensor: w.Source.Name, Index: i}
		}
		w.Source.Type.Decode(p.params[at:at+w.Width], data)
		return p.count(w, len(data))
	})
}

// vectors places several, one behind the other.
func (p *preparer) vectors(at []*uint32, list ...*op.Operand) error {
	for i, w := range list {
		off, err := p.vector(w)
		if err != nil {
			return err
		}
		*at[i] = off
	}
	return nil
}

// pieceBytes returns the most bytes of a weight that can lie in one buffer and be bound at once.
func (p *preparer) pieceBytes() int {
	l := p.dev.Info().Limits
	return min(l.MaxStorageBufferRange, l.MaxAllocationSize)
}

// rowsWithin returns how many rows so many bytes of a storage buffer range can hold.
func (p *preparer) rowsWithin(w *op.Operand, rowBytes, limit int) (int, error) {
	if n := limit / rowBytes; n > 0 {
		return n, nil
	}
	return 0, gpu.Unsupportedf("vulkan: weight %s: a row takes %d bytes, the device binds at most %d", w, rowBytes, limit)
}
