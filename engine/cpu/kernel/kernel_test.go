package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

var allTypes = append(append([]tensor.Type(nil), tensor.Types...), tensor.BlockTypes...)

// alloc returns n elements of C's memory.
func alloc(tb testing.TB, n int) []float32 {
	tb.Helper()
	f, err := Alloc(n)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { Free(f) })
	return f
}

func random(tb testing.TB, rng *rand.Rand, n int) []float32 {
	tb.Helper()
	f := alloc(tb, n)
	for i := range f {
		f[i] = float32(rng.NormFloat64())
	}
	return f
}

// stored returns n random elements as stored.
func stored(tb testing.TB, rng *rand.Rand, t tensor.Type, n int) []byte {
	tb.Helper()
	b, err := AllocBytes(t.Bytes(n))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { Free(b) })
	f := make([]float32, n)
	for i := range f {
		f[i] = float32(rng.NormFloat64())
	}
	if t.CanEncode() {
		t.Encode(b, f)
		return b
	}
	for i := range b { // every bit of every field
		b[i] = byte(rng.Uint32())
	}
	elements, size := t.Block()
	for i := range n / elements {
		for _, at := range t.Halves() {
			tensor.F16.Encode(b[i*size+at:], []float32{float32(rng.NormFloat64() / 64)})
		}
	}
	return b
}

func sameBits(a, b []float32) int {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return i
		}
	}
	return -1
}

// Every level decodes every type to the bits that package tensor gives, all halves among them.
func TestDecode(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, l := range Levels() {
		for _, typ := range allTypes {
			elements, _ := typ.Block()
			for _, n := range []int{elements, 3 * elements, 7 * elements, 40 * elements} {
				src := stored(t, rng, typ, n)
				got, want := alloc(t, n), make([]float32, n)
				typ.Decode(want, src)
				if err := l.Decode(typ, got, src); err != nil {
					t.Fatal(err)
				}
				if i := sameBits(got, want); i >= 0 {
					t.Errorf("%s: %s, %d elements: element %d: %v, want %v", l, typ, n, i, got[i], want[i])
				}
			}
		}
		halves, err := AllocBytes(2 << 16)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1 << 16 {
			if halves[2*i], halves[2*i+1] = byte(i), byte(i>>8); i>>10&31 == 31 {
				halves[2*i+1] = 0 // infinite, or NaN
			}
		}
		got, want := alloc(t, 1<<16), make([]float32, 1<<16)
		tensor.F16.Decode(want, halves)
		if err := l.Decode(tensor.F16, got, halves); err != nil {
			t.Fatal(err)
		}
		if i := sameBits(got, want); i >= 0 {
			t.Errorf("%s: half %#x: %v, want %v", l, i, got[i], want[i])
		}
		Free(halves)
	}
}

// A weight that is not finite is found wherever it stands, and none where there is none.
func TestCheckFinite(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, l := range Levels() {
		for _, typ := range allTypes {
			elements, size := typ.Block()
			for range 50 {
				n := (1 + rng.IntN(200)) * elements
				data := stored(t, rng, typ, n)
				if rng.IntN(5) > 0 {
					at := rng.IntN(n / elements)
					nan := float32(math.NaN())
					if halves := typ.Halves(); len(halves) > 0 {
						tensor.F16.Encode(data[at*size+halves[rng.IntN(len(halves))]:], []float32{nan})
					} else {
						typ.Encode(data[at*size:], []float32{nan})
					}
				}
				got, err := l.CheckFinite(typ, data)
				if want := typ.CheckFinite(data); got != want || err != nil {
					t.Fatalf("%s: %s, %d elements: %d (%v), want %d", l, typ, n, got, err, want)
				}
			}
		}
	}
}

var acts = map[op.Act]func(float64) float64{
	op.Identity: func(v float64) float64 { return v },
	op.Tanh:     math.Tanh,
	op.Sigmoid:  func(v float64) float64 { return 1 / (1 + math.Exp(-v)) },
	op.ReLU2:    func(v float64) float64 { return max(v, 0) * max(v, 0) },
	op.Decay:    func(v float64) float64 { return math.Exp(op.DecayScale / (1 + math.Exp(-v))) },
	op.SiLU:     func(v float64) float64 { return v / (1 + math.Exp(-v)) },
	op.ExpDecay: func(v float64) float64 { return math.Exp(-math.Exp(v)) },
}

// product is a Product in C's memory, its vectors side by side with others.
func product(tb testing.TB, rng *rand.Rand, typ tensor.Type, m, k, n int) *Product {
	tb.Helper()
	rows := func(width int) Rows {
		stride := op.Stride(width) + 8*rng.IntN(2)
		return Rows{First: random(tb, rng, n*stride), Stride: stride}
	}
	return &Product{W: stored(tb, rng, typ, m*k), Type: typ, M: m, K: k, X: rows(k), Scale: 1, Y: rows(m), From: rows(m), To: rows(m)}
}

func (p *Product) run(tb testing.TB, l Level, from, to, n int) {
	tb.Helper()
	if err := l.MatMul(NewPart(p), from, to, n, alloc(tb, WorkLen(to-from, p.K, n))); err != nil {
		tb.Fatal(err)
	}
}

// Products are right to float32's rounding, with every activation and combination. What a token gives does not depend
// on the tokens and rows beside it, nor on the level, but for the one without a fused multiply-add.
func TestMatMul(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for c := range 300 {
		typ := allTypes[c%len(allTypes)]
		elements, _ := typ.Block()
		m, k, n := 1+rng.IntN(70), elements*(1+rng.IntN(1+1200/elements)), 1+rng.IntN(9)
		switch c % 7 {
		case 0:
			n = 60 + rng.IntN(80)
		case 1:
			n = 10 + rng.IntN(25)
		}
		p := product(t, rng, typ, m, k, n)
		p.Act, p.Combine, p.Scale = op.Act(rng.IntN(len(acts))), op.Combine(rng.IntN(5)), []float32{1, 0.5}[rng.IntN(2)]
		if rng.IntN(2) == 0 {
			p.Bias = random(t, rng, m)
		}
		name := fmt.Sprintf("%s %dx%d, %d vectors, %s %s", typ, m, k, n, p.Act, p.Combine)
		want, scale := p.exact()
		fused := []float32(nil)
		for _, l := range Levels() {
			clear(p.Y.First)
			p.run(t, l, 0, m, n)
			all := append([]float32(nil), p.Y.First...)
			for i := range n {
				for j := range m {
					got := float64(all[i*p.Y.Stride+j])
					if math.Abs(got-want[i*m+j]) > 2e-6*scale[i*m+j]+1e-6 {
						t.Fatalf("%s: %s: vector %d, row %d: %v, want %v", l, name, i, j, got, want[i*m+j])
					}
				}
			}
			clear(p.Y.First)
			for i := range n { // each vector alone, in two runs of rows
				alone := *p
				alone.X.First, alone.Y.First = p.X.First[i*p.X.Stride:], p.Y.First[i*p.Y.Stride:]
				alone.From.First, alone.To.First = p.From.First[i*p.From.Stride:], p.To.First[i*p.To.Stride:]
				cut := rng.IntN(m)
				if cut > 0 {
					alone.run(t, l, 0, cut, 1)
				}
				alone.run(t, l, cut, m, 1)
			}
			if i := sameBits(p.Y.First, all); i >= 0 {
				t.Fatalf("%s: %s: element %d: %v alone, %v among others", l, name, i, p.Y.First[i], all[i])
			}
			if l == Generic {
				continue
			}
			if fused == nil {
				fused = all
			}
			if i := sameBits(all, fused); i >= 0 {
				t.Fatalf("%s: %s: element %d: %v, %v on another level", l, name, i, all[i], fused[i])
			}
		}
	}
}

// exact returns a product's outputs in float64, and how large their terms are.
func (p *Product) exact() (y, scale []float64) {
	w := make([]float32, p.M*p.K)
	p.Type.Decode(w, p.W)
	n := len(p.X.First) / p.X.Stride
	for t := range n {
		for j := range p.M {
			var sum, size float64
			for i, x := range p.X.First[t*p.X.Stride:][:p.K] {
				v := float64(w[j*p.K+i]) * float64(x)
				sum += v
				size += math.Abs(v)
			}
			sum *= float64(p.Scale)
			if p.Bias != nil {
				sum += float64(p.Bias[j])
				size += math.Abs(float64(p.Bias[j]))
			}
			z := acts[p.Act](sum)
			if p.Act == op.ReLU2 {
				size *= 2*math.Abs(sum) + 1
			}
			from, to := float64(p.From.First[t*p.From.Stride+j]), float64(p.To.First[t*p.To.Stride+j])
			size = size*(1+math.Abs(from)+math.Abs(to)) + math.Abs(from)
			switch p.Combine {
			case op.Set:
			case op.Add:
				z += from
			case op.Lerp:
				z = from + (to-from)*z
			case op.Gate:
				z = from + to*z
			case op.Mul:
				z *= from
			}
			y, scale = append(y, z), append(scale, size)
		}
	}
	return y, scale
}

// Activations are right over all of their range, at its ends too.
func TestActivations(t *testing.T) {
	list := []float32{float32(math.Copysign(0, -1)), 0}
	for _, v := range []float32{1e-30, 1e-10, 1e-4, 87, 88.5, 89, 100, 104, 1e10, 3e38} {
		list = append(list, v, -v)
	}
	for v := float32(-12); v < 12; v += 0.01 {
		list = append(list, v)
	}
	one := alloc(t, 1)
	one[0] = 1
	w, err := AllocBytes(4 * len(list))
	if err != nil {
		t.Fatal(err)
	}
	defer Free(w)
	for _, l := range Levels() {
		for act, f := range acts {
			tensor.F32.Encode(w, list)
			y := alloc(t, len(list))
			p := &Product{W: w, Type: tensor.F32, M: len(list), K: 1, X: Rows{one, 8}, Scale: 1, Act: act, Y: Rows{y, len(list)}}
			p.run(t, l, 0, len(list), 1)
			for i, v := range list {
				want := f(float64(v))
				if act == op.ReLU2 {
					want = float64(max(v, 0) * max(v, 0))
				}
				tolerance := 1e-6*math.Abs(want) + 1e-36
				if act == op.ExpDecay {
					tolerance += 1e-6 * min(math.Exp(float64(v)), 1e3) * math.Abs(want) // exp of what is rounded
				}
				if got := float64(y[i]); math.Abs(got-want) > tolerance && got != want {
					t.Errorf("%s: %s of %v is %v, want %v", l, act, v, got, want)
				}
			}
		}
	}
}

func BenchmarkMatMul(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, l := range Levels() {
		for _, typ := range []tensor.Type{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q6_K} {
			for _, n := range []int{1, 2, 3, 4, 8, 64, 512} {
				b.Run(fmt.Sprintf("%s/%s/%d", l, typ, n), func(b *testing.B) {
					const m, k = 1024, 768
					p := product(b, rng, typ, m, k, n)
					part, work := NewPart(p), alloc(b, WorkLen(m, k, n))
					for b.Loop() {
						if err := l.MatMul(part, 0, m, n, work); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(len(p.W))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
					b.ReportMetric(2*m*k*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOPS")
				})
			}
		}
	}
}
