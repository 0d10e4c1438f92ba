package quant_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// matrix returns a random F16 tensor.
func matrix(rows, cols int) *tensor.Tensor {
	r := rand.New(rand.NewPCG(11, 12))
	x := make([]float32, rows*cols)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	data := make([]byte, tensor.F16.Bytes(len(x)))
	tensor.F16.Encode(data, x)
	return tensor.FromBytes("w", tensor.F16, []int{rows, cols}, data)
}

func TestTensor(t *testing.T) {
	src := matrix(150, 512) // more than two chunks, the last in part
	x, err := src.Floats()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range tensor.BlockTypes {
		q := quant.Tensor(src, typ)
		if q.String() != "w "+typ.String()+"[150 512]" {
			t.Errorf("got %s", q)
		}
		got, err := q.Load()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(encode(t, typ, x)) {
			t.Errorf("%s: chunks give other bytes than the whole", typ)
		}
		// From blocks, which is how a quantized file is quantized again.
		if data, err := quant.Tensor(q, tensor.Q8_0).Load(); err != nil || typ != tensor.Q8_0 && rmse(tensor.Q8_0, x, data) > 1.06*rmse(typ, x, got) {
			t.Errorf("%s to Q8_0: %v", typ, err)
		}
	}
	if q := quant.Tensor(src, tensor.F16); q != src {
		t.Errorf("a tensor of the type already: got %s", q)
	}
}

func TestTensorErrors(t *testing.T) {
	x := make([]float32, 300*256)
	x[200*256+3], x[299*256] = 1e9, 1e9
	_, err := quant.Tensor(tensor.FromFloats("w", []int{300, 256}, x), tensor.Q4_K).Load()
	var out *quant.RangeError
	if !errors.As(err, &out) || err.Error() != "tensor w: element 51203: want at most 4.12675e+06 for Q4_K, got 1e+09" {
		t.Errorf("got %v", err)
	}
	if _, err = quant.Tensor(tensor.FromFloats("w", []int{2, 48}, x[:96]), tensor.Q8_0).Load(); err == nil || !strings.Contains(err.Error(), "rows of whole Q8_0 blocks") {
		t.Errorf("got %v", err)
	}
	broken := errors.New("broken")
	src := tensor.New("w", tensor.F32, []int{1, 32}, func() ([]byte, error) { return nil, broken })
	if _, err = quant.Tensor(src, tensor.Q8_0).Load(); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestTensorMemory bounds what a Load takes beside its result.
func TestTensorMemory(t *testing.T) {
	src := matrix(2048, 1024)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data, err := quant.Tensor(src, tensor.Q8_0).Load()
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	extra := int(after.TotalAlloc-before.TotalAlloc) - len(data)
	if most := 1<<16 + runtime.GOMAXPROCS(0)<<18; extra > most {
		t.Errorf("took %d bytes beside the result, want at most %d", extra, most)
	}
}
