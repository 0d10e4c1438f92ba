package vulkan

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// prepared is what each op of the program needs besides its scratch: places of weights and constants.
type prepared struct {
	embeds     map[*op.Embed]*embedOp
	layerNorms map[*op.LayerNorm]normOp
	shiftMixes map[*op.ShiftMix]shiftMixOp
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
	counted  map[*op.Operand]bool // in done
	done     int64
	all      int64
	progress func(done, all int64) error
}

var _ op.Backend = (*preparer)(nil)

func (e *Exec) prepare(progress func(done, all int64) error) error {
	e.ops = prepared{
		embeds: map[*op.Embed]*embedOp{}, layerNorms: map[*op.LayerNorm]normOp{},
		shiftMixes: map[*op.ShiftMix]shiftMixOp{}, matMuls: map[*op.MatMul][]unit{},
		wkv4s: map[*op.WKV4]wkv4Op{}, wkv6s: map[*op.WKV6]wkv6Op{}, wkv7s: map[*op.WKV7]wkv7Op{},
		deepEmbeds: map[*op.DeepEmbed][]piece{},
	}
	p := &preparer{Exec: e, progress: progress, counted: map[*op.Operand]bool{}}
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

// load returns a weight's bytes, after checking that every element is finite.
func (p *preparer) load(w *op.Operand) ([]byte, error) {
	data, err := w.Source.Load()
	if err != nil {
		return nil, err
	}
	if i := w.Source.Type.CheckFinite(data); i >= 0 {
		return nil, &op.NotFiniteError{Tensor: w.Source.Name, Index: i}
	}
	if !p.counted[w] { // a weight in pieces is loaded for each
		p.counted[w] = true
		p.done += int64(len(data))
		if p.progress != nil {
			if err := p.progress(p.done, p.all); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}

// vector places a weight vector among the params, padded, and returns its offset in elements.
func (p *preparer) vector(w *op.Operand) (uint32, error) {
	data, err := p.load(w)
	if err != nil {
		return 0, err
	}
	at := len(p.params)
	p.params = append(p.params, make([]float32, w.Stride())...)
	w.Source.Type.Decode(p.params[at:at+w.Width], data)
	return uint32(at), nil
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

// ShiftCommit needs nothing.
func (p *preparer) ShiftCommit(*op.ShiftCommit) error { return nil }

// matrix is a weight matrix, to be uploaded as kernels read it.
type matrix struct {
	p        *preparer
	typ      tensor.Type
	data     []byte // as loaded
	rows     int
	from, to int // bytes of a row as loaded and on the device
}

// matrix loads w.
func (p *preparer) matrix(w *op.Operand) (*matrix, error) {
	data, err := p.load(w)
	if err != nil {
		return nil, err
	}
	typ := w.Source.Type
	return &matrix{p: p, typ: typ, data: data, rows: w.Shape[0], from: typ.Bytes(w.Shape[1]), to: rowBytesOf(w)}, nil
}

// upload brings n rows from row first on to b, at offset off.
func (m *matrix) upload(b *gpu.Buffer, off, first, n int) error {
	src := m.data[first*m.from:][:n*m.from]
	to := b.Range(off, n*m.to)
	if m.from == m.to && !m.typ.IsBlock() {
		return m.p.dev.Upload(to, src)
	}
	return m.p.dev.UploadFunc(to, func(piece []byte, at int) { m.fill(piece, at, src) })
}

// fill writes what lies at and behind a place of the rows in src as the device has them. Workers take its rows in turns.
func (m *matrix) fill(piece []byte, at int, src []byte) {
	first, end := at/m.to, (at+len(piece)-1)/m.to+1
	each := max((end-first)/runtime.GOMAXPROCS(0), 1)
	var wait sync.WaitGroup
	for row := first; row < end; row += each {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for r := row; r < min(row+each, end); r++ {
				m.fillRow(piece, r*m.to-at, src[r*m.from:][:m.from])
			}
		}()
	}
	wait.Wait()
}

// fillRow writes the part of a row that lies within piece, where the row begins at offset at, which may be outside.
func (m *matrix) fillRow(piece []byte, at int, src []byte) {
	if at >= 0 && at+m.to <= len(piece) {
		packRow(m.typ, piece[at:at+m.to], src)
		return
	}
	whole := make([]byte, m.to)
	packRow(m.typ, whole, src)
	copy(piece[max(at, 0):], whole[max(-at, 0):])
}

// pieceBytes returns the most bytes of a weight that can lie in one buffer and be bound at once.
func (p *preparer) pieceBytes() int {
	l := p.dev.Info().Limits
	return min(l.MaxStorageBufferRange, l.MaxAllocationSize)
}

// rowsWithin returns how many rows one storage buffer range can hold.
func (p *preparer) rowsWithin(w *op.Operand, rowBytes int) (int, error) {
	limit := p.pieceBytes()
	if n := limit / rowBytes; n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("vulkan: weight %s: a row takes %d bytes, the device binds at most %d", w, rowBytes, limit)
}
