package quant_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// step is the distance of a type's levels as a share of the largest magnitude of a block, with what rounding the scales
// of runs adds. Rounding to the nearest level is wrong by half of it at most.
var step = map[tensor.Type]float64{
	tensor.Q8_0: 1. / 127, tensor.Q4_0: 1. / 7, tensor.Q5_0: 1. / 15, tensor.Q4_1: 2. / 15, tensor.Q5_1: 2. / 31,
	tensor.IQ4_NL: 24. / 113, tensor.Q3_K: 1.1 / 3, tensor.Q6_K: 1.1 / 31, tensor.Q4_K: 2.2 / 15, tensor.Q5_K: 2.2 / 31,
}

// leastSteps are halves of the widest distance of levels, in units of the scale, where that is not 1.
var leastSteps = map[tensor.Type]float64{tensor.IQ4_NL: 12}

// limits are the largest magnitudes that the types hold.
var limits = map[tensor.Type]float32{
	tensor.Q8_0: 127 * 65504, tensor.Q4_0: 7 * 65504, tensor.Q5_0: 15 * 65504, tensor.Q4_1: 65504, tensor.Q5_1: 65504,
	tensor.IQ4_NL: 113 * 65504, tensor.Q3_K: 93 * 65504, tensor.Q6_K: 3937 * 65504, tensor.Q4_K: 63 * 65504, tensor.Q5_K: 63 * 65504,
}

// sources make a number of a block from the block's own generator.
var sources = map[string]func(r *rand.Rand, i int) float64{
	"normal":    func(r *rand.Rand, _ int) float64 { return r.NormFloat64() },
	"uniform":   func(r *rand.Rand, _ int) float64 { return 2*r.Float64() - 1 },
	"heavy":     func(r *rand.Rand, _ int) float64 { return math.Pow(r.NormFloat64(), 5) },
	"sparse":    func(r *rand.Rand, _ int) float64 { return r.NormFloat64() * float64(r.IntN(8)/7) },
	"positive":  func(r *rand.Rand, _ int) float64 { return 5 + r.Float64() },
	"negative":  func(r *rand.Rand, _ int) float64 { return -5 - r.Float64() },
	"outlier":   func(r *rand.Rand, i int) float64 { return r.NormFloat64() * (1 + 1e6*float64(i%256/255)) },
	"uneven":    func(r *rand.Rand, i int) float64 { return r.NormFloat64() * math.Exp2(float64(-i/16%16)) },
	"zeros":     func(*rand.Rand, int) float64 { return 0 },
	"constant":  func(*rand.Rand, int) float64 { return -1 },
	"two signs": func(_ *rand.Rand, i int) float64 { return float64(i%2*2 - 1) },
	"subnormal": func(r *rand.Rand, _ int) float64 { return r.NormFloat64() * 1e-42 },
}

// TestErrors tries every type on every kind of numbers of many magnitudes. The mean error of a block stays below that
// of rounding to levels that reach its largest number: a search may sacrifice one element, but not at the others' cost.
func TestErrors(t *testing.T) {
	const blocks = 4
	for _, typ := range tensor.BlockTypes {
		n, size := typ.Block()
		for kind, source := range sources {
			for _, scale := range []float64{1e-9, 1e-6, 1e-4, 0.03, 1, 300} {
				r := rand.New(rand.NewPCG(7, 9))
				x := make([]float32, blocks*n)
				for i := range x {
					x[i] = float32(scale * source(r, i))
					x[i] = max(min(x[i], limits[typ]), -limits[typ])
				}
				data := make([]byte, typ.Bytes(len(x)))
				if err := quant.Encode(typ, data, x); err != nil {
					t.Fatalf("%s/%s/%g: %v", typ, kind, scale, err)
				}
				if i := typ.CheckFinite(data); i >= 0 {
					t.Fatalf("%s/%s/%g: element %d is not finite", typ, kind, scale, i)
				}
				for b := range blocks {
					part := x[b*n : (b+1)*n]
					// The least scale is 2^-24, and scales near it are multiples of it: a few of its steps are lost.
					bound := magnitude(part)*(step[typ]/2+1./2048) + max(0.5/step[typ], leastSteps[typ])/(1<<24)
					if e := rmse(typ, part, data[b*size:(b+1)*size]); !(e <= bound) {
						t.Errorf("%s/%s/%g: block %d: error %g of magnitude %g, want at most %g", typ, kind, scale, b, e, magnitude(part), bound)
					}
				}
			}
		}
	}
}

func magnitude(x []float32) float64 {
	most := 0.0
	for _, v := range x {
		most = max(most, math.Abs(float64(v)))
	}
	return most
}

// ggmlErrors are the errors of ggml's quantizers (quantize_q4_0 and so on of src/ggml-quants.c at d99724f2, in rows of
// 1024, without an importance matrix) on distribution 0 to 3, by their own decoding.
var ggmlErrors = map[tensor.Type][4]float64{
	tensor.Q4_0: {0.0017258, 0.0018761, 0.0041825, 0.0074712}, tensor.Q4_1: {0.0015613, 0.0017442, 0.0042041, 0.0068939},
	tensor.Q5_0: {0.00085664, 0.00090295, 0.0023405, 0.003695}, tensor.Q5_1: {0.00075815, 0.00084889, 0.0021474, 0.0032896},
	tensor.Q8_0: {0.00010648, 0.0001093, 0.00034209, 0.00046299}, tensor.IQ4_NL: {0.0015319, 0.0018327, 0.0034935, 0.0066717},
	tensor.Q3_K: {0.0030345, 0.0036419, 0.0058119, 0.013172}, tensor.Q4_K: {0.0014202, 0.0015751, 0.0034369, 0.0063275},
	tensor.Q5_K: {0.00071849, 0.00079321, 0.0019438, 0.0031517}, tensor.Q6_K: {0.00035745, 0.00038454, 0.00094638, 0.0015763},
}

// distribution returns the numbers that ggml quantized: normal, uniform, with heavy tails, normal of uneven deviation.
func distribution(kind int) []float32 {
	r := rand.New(rand.NewPCG(1, uint64(kind)))
	x := make([]float32, 1<<14)
	for i := range x {
		switch kind {
		case 0:
			x[i] = float32(r.NormFloat64() * .02)
		case 1:
			x[i] = float32((2*r.Float64() - 1) * .05)
		case 2:
			n := r.NormFloat64()
			x[i] = float32(n * n * n * .01)
		case 3:
			x[i] = float32(r.NormFloat64() * .02 * math.Exp2(float64(i/256%5)-2) * (1 + float64(i/32%3)))
		}
	}
	return x
}

// TestGgml compares errors with ggml's: those of a search must be smaller, those of Q8_0 the same. And they stay as
// good as they are.
func TestGgml(t *testing.T) {
	for typ, errs := range ggmlErrors {
		for kind, theirs := range errs {
			x := distribution(kind)
			ratio := rmse(typ, x, encode(t, typ, x)) / theirs
			most := 0.987 // Q4_K, uniform; the others are below 0.98
			if typ == tensor.Q8_0 {
				most = 1.00005
			}
			if !(ratio <= most && ratio > 0.7) {
				t.Errorf("%s, distribution %d: error %.4f of ggml's", typ, kind, ratio)
			}
		}
	}
}

func encode(t *testing.T, typ tensor.Type, x []float32) []byte {
	t.Helper()
	data := make([]byte, typ.Bytes(len(x)))
	if err := quant.Encode(typ, data, x); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAgain encodes what blocks hold: what is lost then is little beside what was lost the first time.
func TestAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 1<<14)
	for i := range x {
		x[i] = float32(0.02 * r.NormFloat64())
	}
	for _, typ := range tensor.BlockTypes {
		once := encode(t, typ, x)
		y := make([]float32, len(x))
		typ.Decode(y, once)
		twice := encode(t, typ, y)
		first, second, both := rmse(typ, x, once), rmse(typ, y, twice), rmse(typ, x, twice)
		if second > 0.15*first || both > 1.01*first {
			t.Errorf("%s: error %g, the second time %g, both %g", typ, first, second, both)
		}
	}
}

// TestRange wants an error for what a type cannot hold, and none for the largest number that it can.
func TestRange(t *testing.T) {
	for _, typ := range tensor.BlockTypes {
		n, _ := typ.Block()
		limit := limits[typ]
		for _, sign := range []float32{1, -1} {
			x := make([]float32, 2*n)
			for i := range x {
				x[i] = float32(i%5) - 2
			}
			at := n + 17
			x[at] = sign * limit
			y := make([]float32, len(x))
			typ.Decode(y, encode(t, typ, x))
			if e := math.Abs(float64(y[at]-x[at])) / float64(limit); !(e <= step[typ]) {
				t.Errorf("%s: %g reads back as %g", typ, x[at], y[at])
			}
			bad := map[float32]string{
				sign * math.Nextafter32(limit, 1e30): fmt.Sprintf("element %d: want at most %.6g for %s, got ", at, limit, typ),
				sign * math.MaxFloat32:               fmt.Sprintf("element %d: want at most %.6g for %s, got ", at, limit, typ),
				sign * float32(math.Inf(1)):          fmt.Sprintf("element %d: want finite numbers, got %v", at, sign*float32(math.Inf(1))),
				float32(math.NaN()):                  fmt.Sprintf("element %d: want finite numbers, got NaN", at),
			}
			for v, want := range bad {
				x[at] = v
				err := quant.Encode(typ, make([]byte, typ.Bytes(len(x))), x)
				var out *quant.RangeError
				if !errors.As(err, &out) || out.Index != at || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
					t.Errorf("%s: %g: got error %v, want %s", typ, v, err, want)
				}
			}
		}
	}
}

// TestBits tries random bits, which are numbers of every magnitude beside each other.
func TestBits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, typ := range tensor.BlockTypes {
		x := make([]float32, 1<<12)
		for i := range x {
			if v := math.Float32frombits(r.Uint32()); v <= limits[typ] && v >= -limits[typ] {
				x[i] = v
			}
		}
		data := encode(t, typ, x)
		if i := typ.CheckFinite(data); i >= 0 {
			t.Errorf("%s: element %d is not finite", typ, i)
		}
		y := make([]float32, len(x))
		typ.Decode(y, data)
		n, _ := typ.Block()
		for b := 0; b < len(x); b += n {
			if e, most := magnitude(y[b:b+n]), magnitude(x[b:b+n]); e > 1.3*most+1e-5 {
				t.Errorf("%s: elements from %d: up to %g become up to %g", typ, b, most, e)
			}
		}
	}
}

// TestPlain encodes to plain types.
func TestPlain(t *testing.T) {
	x := []float32{1, -2.5, 1e-3, 65504}
	for _, typ := range tensor.Types {
		want := make([]byte, typ.Bytes(len(x)))
		typ.Encode(want, x)
		if got := encode(t, typ, x); string(got) != string(want) {
			t.Errorf("%s: got % x, want % x", typ, got, want)
		}
	}
	for typ, bad := range map[tensor.Type]float32{tensor.F16: 65505, tensor.BF16: math.MaxFloat32, tensor.F32: float32(math.Inf(-1))} {
		var out *quant.RangeError
		if err := quant.Encode(typ, make([]byte, typ.Bytes(2)), []float32{0, bad}); !errors.As(err, &out) || out.Index != 1 {
			t.Errorf("%s: %g: got %v", typ, bad, err)
		}
	}
}

// TestLengths wants whole blocks.
func TestLengths(t *testing.T) {
	for _, c := range []struct {
		typ      tensor.Type
		src, dst int
		want     string
	}{
		{tensor.Q8_0, 33, 68, "quant: want whole blocks of 32 elements for Q8_0, got 33 elements"},
		{tensor.Q4_K, 128, 144, "quant: want whole blocks of 256 elements for Q4_K, got 128 elements"},
		{tensor.Q4_0, 64, 18, "quant: want 36 bytes for 64 elements of Q4_0, got 18"},
		{0, 1, 1, "quant: want whole blocks of 0 elements for Type(0), got 1 elements"},
	} {
		if err := quant.Encode(c.typ, make([]byte, c.dst), make([]float32, c.src)); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}
