package layout

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Loader brings the weights of a program to a device. Its caller owns the buffers that it makes.
type Loader struct {
	Buffers []*gpu.Buffer // those that it made, in this order

	dev      *gpu.Device
	progress func(done, all int64) error
	readers  map[*tensor.Tensor]int     // uses of a tensor that are yet to come
	matrices map[*tensor.Tensor]*matrix // loaded matrices that a later use needs
	vectors  map[*tensor.Tensor]uint32  // where they lie in params
	params   []float32
	counted  map[*op.Operand]int // bytes in done
	done     int64
	all      int64
}

// NewLoader returns a loader for a program. It tells progress how many bytes of weights are loaded. progress may be
// nil; its error ends the loading.
func NewLoader(dev *gpu.Device, prog *op.Program, progress func(done, all int64) error) *Loader {
	l := &Loader{dev: dev, progress: progress, readers: map[*tensor.Tensor]int{}, matrices: map[*tensor.Tensor]*matrix{},
		vectors: map[*tensor.Tensor]uint32{}, counted: map[*op.Operand]int{}}
	for _, w := range prog.Of(op.Weight) {
		l.all += int64(w.Source.Type.Bytes(w.Width))
	}
	seen := map[op.Op]bool{} // one op may stand in several steps
	for i := range prog.Steps {
		o := prog.Steps[i].Op
		if seen[o] {
			continue
		}
		seen[o] = true
		o.Operands(func(_ string, v op.View, _ op.Access) {
			if v.Of != nil && v.Of.Kind == op.Weight {
				l.readers[v.Of.Source]++
			}
		})
	}
	return l
}

// Buffer makes a buffer of data.
func (l *Loader) Buffer(name string, data []byte) (*gpu.Buffer, error) {
	b, err := l.make(name, len(data))
	if err != nil {
		return nil, err
	}
	return b, l.dev.Upload(b.All(), data)
}

func (l *Loader) make(name string, size int) (*gpu.Buffer, error) {
	b, err := l.dev.NewBuffer(name, size, gpu.DeviceLocal)
	if err == nil {
		l.Buffers = append(l.Buffers, b)
	}
	return b, err
}

// Vector places a weight vector among the params, padded, and returns its offset in elements. Every element must be
// finite.
func (l *Loader) Vector(w *op.Operand) (uint32, error) {
	at := len(l.params)
	l.params = append(l.params, make([]float32, w.Stride())...)
	if have, ok := l.vectors[w.Source]; ok {
		copy(l.params[at:at+w.Width], l.params[have:])
		return uint32(at), l.count(w, w.Source.Type.Bytes(w.Width))
	}
	l.vectors[w.Source] = uint32(at)
	return uint32(at), w.Source.Use(func(data []byte) error {
		if i := w.Source.Type.CheckFinite(data); i >= 0 {
			return &op.NotFiniteError{Tensor: w.Source.Name, Index: i}
		}
		w.Source.Type.Decode(l.params[at:at+w.Width], data)
		return l.count(w, len(data))
	})
}

// Vectors places several vectors, one behind the other.
func (l *Loader) Vectors(at []*uint32, list ...*op.Operand) error {
	for i, w := range list {
		off, err := l.Vector(w)
		if err != nil {
			return err
		}
		*at[i] = off
	}
	return nil
}

// Next returns the offset of the vector that will be placed next.
func (l *Loader) Next() uint32 { return uint32(len(l.params)) }

// Params makes the buffer of all vectors placed. It is nil if there are none.
func (l *Loader) Params() (*gpu.Buffer, error) {
	if len(l.params) == 0 {
		return nil, nil
	}
	data := make([]byte, tensor.F32.Bytes(len(l.params)))
	tensor.F32.Encode(data, l.params)
	return l.Buffer("params", data)
}

// matrix returns a matrix, and loads it if it is not loaded. Its elements are checked on their way to the device. The
// caller calls used when it has sent all of the matrix for an operand.
func (l *Loader) matrix(w *op.Operand) (*matrix, error) {
	m, ok := l.matrices[w.Source]
	if ok && m.of == w {
		return m, nil
	}
	var data []byte
	if ok {
		data = m.data
	} else {
		var err error
		if data, err = w.Source.Load(); err != nil {
			return nil, err
		}
	}
	m = newMatrix(l, w, data)
	l.matrices[w.Source] = m
	return m, nil
}

// used notes that all of a matrix was sent for one operand of an op.
func (l *Loader) used(w *op.Operand) {
	if l.readers[w.Source]--; l.readers[w.Source] <= 0 {
		delete(l.matrices, w.Source)
	}
}

// most returns the most bytes of a weight that can lie in one buffer and be bound at once.
func (l *Loader) most() int {
	limits := l.dev.Info().Limits
	return min(limits.MaxStorageBufferRange, limits.MaxAllocationSize)
}

// rowsWithin returns how many rows so many bytes of a storage buffer range can hold.
func rowsWithin(w *op.Operand, rowBytes, limit int) (int, error) {
	if n := limit / rowBytes; n > 0 {
		return n, nil
	}
	return 0, gpu.Unsupportedf("vulkan: weight %s: a row takes %d bytes, the device binds at most %d", w, rowBytes, limit)
}

// Rows is a run of rows of a table that one binding can hold.
type Rows struct {
	Range        gpu.Range
	First, Count int
}

// Table sends the rows of a table, in as many pieces as the device's binding limit needs.
func (l *Loader) Table(w *op.Operand) ([]Rows, error) {
	m, err := l.matrix(w)
	if err != nil {
		return nil, err
	}
	defer l.used(w)
	most, err := rowsWithin(w, m.to, l.most())
	if err != nil {
		return nil, err
	}
	var pieces []Rows
	for first := 0; first < m.rows; first += most {
		n := min(most, m.rows-first)
		b, err := l.make(w.Name, n*m.to)
		if err != nil {
			return nil, err
		}
		if err := m.upload(b, 0, first, n, 1); err != nil {
			return nil, err
		}
		pieces = append(pieces, Rows{b.All(), first, n})
	}
	return pieces, nil
}

// count adds bytes of w to the progress. Bytes that several ops send count once.
func (l *Loader) count(w *op.Operand, bytes int) error {
	bytes = min(bytes, w.Source.Type.Bytes(w.Width)-l.counted[w])
	if bytes <= 0 {
		return nil
	}
	l.counted[w] += bytes
	l.done += int64(bytes)
	if l.progress == nil {
		return nil
	}
	return l.progress(l.done, l.all)
}
