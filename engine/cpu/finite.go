package cpu

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// finite looks for elements that are no finite numbers, in pieces of data.
type finite struct {
	level kernel.Level
	typ   tensor.Type
	data  []byte
	piece int          // bytes, whole blocks
	first atomic.Int64 // index of the first such element
}

// finitePiece is about how many bytes are checked at once.
const finitePiece = 256 << 10

func (f *finite) do(_ *worker, from, to int) error {
	elements, size := f.typ.Block()
	for i := from; i < to; i++ {
		at := i * f.piece
		found, err := f.level.CheckFinite(f.typ, f.data[at:min(at+f.piece, len(f.data))])
		if err != nil {
			return err
		}
		if found >= 0 {
			f.note(int64(at/size*elements + found))
		}
	}
	return nil
}

func (f *finite) note(index int64) {
	for {
		first := f.first.Load()
		if index >= first || f.first.CompareAndSwap(first, index) {
			return
		}
	}
}

// checkFinite returns the index of the first element of data that is NaN or infinite, or -1.
func (l *loader) checkFinite(typ tensor.Type, data []byte) (int, error) {
	_, size := typ.Block()
	f := &finite{level: l.level, typ: typ, data: data, piece: finitePiece / size * size}
	f.first.Store(math.MaxInt64)
	t := &task{job: f, units: int32((len(data) + f.piece - 1) / f.piece)}
	if err := l.pool.run(context.Background(), []*task{t}); err != nil {
		return 0, fileError(err)
	}
	if first := f.first.Load(); first != math.MaxInt64 {
		return int(first), nil
	}
	return -1, nil
}
