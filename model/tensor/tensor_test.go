package tensor

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every binary16 and bfloat16 bit pattern reads back as itself: decoding is exact and encoding inverts it.
func TestHalfRoundTrip(t *testing.T) {
	for h := 0; h < 1<<16; h++ {
		f := F16ToFloat(uint16(h))
		if f != f {
			if got := FloatToF16(f); got&0x7c00 != 0x7c00 || got&0x3ff == 0 {
				t.Fatalf("f16 %#04x: NaN became %#04x", h, got)
			}
		} else if got := FloatToF16(f); got != uint16(h) {
			t.Fatalf("f16 %#04x -> %v -> %#04x", h, f, got)
		}
		b := math.Float32frombits(uint32(h) << 16)
		if b == b && FloatToBF16(b) != uint16(h) {
			t.Fatalf("bf16 %#04x -> %v -> %#04x", h, b, FloatToBF16(b))
		}
	}
}

// Rounding picks the nearest of the two neighbours, the even one on a tie, for random float32 values.
func TestHalfRoundsToNearestEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		f := math.Float32frombits(rng.Uint32())
		if f != f || math.Abs(float64(f)) > 65504 {
			continue
		}
		h := FloatToF16(f)
		checkNearest(t, f, h, func(h uint16) float64 { return float64(F16ToFloat(h)) })
		checkNearest(t, f, FloatToBF16(f), func(h uint16) float64 {
			return float64(math.Float32frombits(uint32(h) << 16))
		})
	}
	for f, want := range map[float32]uint16{65519.996: 0x7bff, 65520: 0x7c00, 1 + 1.0/2048: 0x3c00, 1 + 3.0/2048: 0x3c02, 0x1p-25: 0, 0x1.8p-25: 1} {
		if got := FloatToF16(f); got != want {
			t.Errorf("FloatToF16(%v) = %#04x, want %#04x", f, got, want)
		}
	}
}

func checkNearest(t *testing.T, f float32, h uint16, value func(uint16) float64) {
	t.Helper()
	d := math.Abs(value(h) - float64(f))
	for _, n := range []uint16{h - 1, h + 1} {
		v := value(n)
		if v != v || math.IsInf(v, 0) || n>>15 != h>>15 {
			continue
		}
		if e := math.Abs(v - float64(f)); e < d || e == d && h&1 == 1 {
			t.Fatalf("%v rounded to %#04x (off by %g), %#04x is nearer or even (off by %g)", f, h, d, n, e)
		}
	}
}

func TestCheckFinite(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, typ := range Types {
		for range 300 {
			n := 1 + rng.IntN(140)
			f := make([]float32, n)
			for i := range f {
				f[i] = (rng.Float32() - 0.5) * 1000
			}
			b := make([]byte, typ.Bytes(n))
			typ.Encode(b, f)
			if got := typ.CheckFinite(b); got != -1 {
				t.Fatalf("%s: finite data reported bad at %d", typ, got)
			}
			at := rng.IntN(n)
			f[at] = float32(math.Inf(1 - 2*rng.IntN(2)))
			if rng.IntN(2) == 0 {
				f[at] = float32(math.NaN())
			}
			typ.Encode(b, f)
			if got := typ.CheckFinite(b); got != at {
				t.Fatalf("%s: %v at %d reported at %d", typ, f[at], at, got)
			}
		}
	}
}

func TestLoadChecksLength(t *testing.T) {
	_, err := FromBytes("a.b", F16, []int{2, 3}, make([]byte, 11)).Load()
	if err == nil || !strings.Contains(err.Error(), "a.b") || !strings.Contains(err.Error(), "want 12 bytes") {
		t.Fatalf("short data: %v", err)
	}
	boom := errors.New("boom")
	if _, err := New("x", F32, []int{1}, func() ([]byte, error) { return nil, boom }).Floats(); !errors.Is(err, boom) {
		t.Fatalf("load error lost: %v", err)
	}
	f, err := FromFloats("y", []int{2}, []float32{1.5, -2}).Floats()
	if err != nil || f[0] != 1.5 || f[1] != -2 {
		t.Fatalf("FromFloats: %v %v", f, err)
	}
}

// Element [.., r, c] of a tensor is element [.., c, r] of its transpose, for odd sizes and every type.
func TestTransposed(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, typ := range Types {
		for range 20 {
			b, rows, cols := 1+rng.IntN(3), 1+rng.IntN(70), 1+rng.IntN(70)
			f := make([]float32, b*rows*cols)
			for i := range f {
				f[i] = float32(i % 2000)
			}
			data := make([]byte, typ.Bytes(len(f)))
			typ.Encode(data, f)
			src := FromBytes("x", typ, []int{b, rows, cols}, data)
			want, _ := src.Floats()
			got, err := src.Transposed().Floats()
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				m, r, c := i/(rows*cols), i/cols%rows, i%cols
				if got[(m*cols+c)*rows+r] != want[i] {
					t.Fatalf("%s [%d %d %d]: element %d", typ, b, rows, cols, i)
				}
			}
		}
	}
}
