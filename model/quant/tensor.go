package quant

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// chunk is about how many elements each core has as float32 at a time.
const chunk = 1 << 15

// Tensor returns t as typ, converted at each Load on all cores, chunk by chunk. Beside t's bytes and the result only
// some hundred KiB are in use. Rows must be whole blocks of typ, else Load fails. If t has the type already, Tensor
// returns t.
func Tensor(t *tensor.Tensor, typ tensor.Type) *tensor.Tensor {
	if t.Type == typ {
		return t
	}
	return tensor.From(t, typ, t.Shape, func(src []byte) ([]byte, error) {
		dst := make([]byte, typ.Bytes(t.Len()))
		if err := convert(typ, dst, t.Type, src, t.Len()); err != nil {
			var out *RangeError
			if errors.As(err, &out) {
				out.Tensor = t.Name
				return nil, out
			}
			return nil, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		return dst, nil
	})
}

// convert encodes the n elements of src, of type from, as typ.
func convert(typ tensor.Type, dst []byte, from tensor.Type, src []byte, n int) error {
	chunks := (n + chunk - 1) / chunk
	errs := make([]error, chunks)
	one := func(i int, x []float32) error {
		first, end := i*chunk, min((i+1)*chunk, n)
		part := x[:end-first]
		from.Decode(part, src[from.Bytes(first):from.Bytes(end)])
		err := Encode(typ, dst[typ.Bytes(first):typ.Bytes(end)], part)
		var out *RangeError
		if errors.As(err, &out) {
			out.Index += first
		}
		return err
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), chunks) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			x := make([]float32, min(chunk, n))
			for i := int(next.Add(1)) - 1; i < chunks; i = int(next.Add(1)) - 1 {
				errs[i] = tensor.Guard(func() error { return one(i, x) })
			}
		}()
	}
	wg.Wait()
	for _, err := range errs { // the first in the tensor, whichever core met it
		if err != nil {
			return err
		}
	}
	return nil
}
