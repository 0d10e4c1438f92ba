package split

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// evenly cuts a program into n parts, at most one for each layer.
func evenly(t testing.TB, prog *op.Program, n int) []*Part {
	t.Helper()
	layers := Layers(prog)
	n = min(n, layers)
	var firsts []int
	for i := 1; i < n; i++ {
		firsts = append(firsts, i*layers/n)
	}
	parts, err := Cut(prog, firsts)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

// onCPU returns an executor of n parts on the processor. wrap, which may be nil, may change the executor of a part.
func onCPU(t testing.TB, prog *op.Program, s op.Sizes, n, pieces int, wrap func(i int, x op.Prober) op.Prober) *Exec {
	t.Helper()
	parts := evenly(t, prog, n)
	var stages []Stage
	for i, p := range parts {
		x, err := cpu.New(p.Program, cpu.Options{Sizes: Sizes(s, i, len(parts)), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		stage := Stage{Part: p, Exec: x}
		if wrap != nil {
			stage.Exec = wrap(i, x)
		}
		stages = append(stages, stage)
	}
	e := New(prog, s, stages, pieces)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func opener(n, pieces int) golden.Open {
	return func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor {
		tb.Helper()
		return onCPU(tb, m.Program, s, n, pieces, nil)
	}
}

// All that holds for an executor on the CPU holds for parts of a model on several, with and without pieces.
func TestProperties(t *testing.T) {
	for _, c := range []struct{ parts, pieces int }{{2, 1}, {3, 3}} {
		t.Run(fmt.Sprintf("%d parts, %d pieces", c.parts, c.pieces), func(t *testing.T) {
			golden.ExactProperties(t, opener(c.parts, c.pieces))
		})
	}
}

func TestClosed(t *testing.T) { golden.Closed(t, opener(2, 1)) }

// Parts have the logits of the reference models.
func TestGolden(t *testing.T) { golden.RunDecode(t, false, opener(2, 1)) }

// eachVersion runs a test on a model of three layers of each version, as it is stored and quantized.
func eachVersion(t *testing.T, test func(t *testing.T, m *model.Model)) {
	for version, size := range map[string]weightstest.Size{
		"v4": {FFN: 128}, "v5.2": {Head: 32, FFN: 128}, "v6": {Head: 32, FFN: 128, W: 32, A: 32},
		"v7":      {Head: 32, FFN: 128, W: 32, A: 32, V: 32, G: 32},
		"v7a":     {Head: 32, FFN: 128, W: 32, A: 32, V: 32, G: 32},
		"v8-rc00": {Head: 32, FFN: 128, W: 32, A: 32, V: 32, G: 32},
	} {
		size.Vocab, size.Embed, size.Layers = 67, 64, 3
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q8_0} {
			t.Run(version+" "+typ.String(), func(t *testing.T) {
				f, err := weights.Parse(version, weightstest.Safetensors(weightstest.RWKV(version, size, tensor.F16, 7), nil))
				if err != nil {
					t.Fatal(err)
				}
				var o model.Options
				if typ.IsBlock() {
					o.Quant = typ
				}
				m, err := model.NewWith(f, o)
				if err != nil {
					t.Fatal(err)
				}
				test(t, m)
			})
		}
	}
}

var someSizes = op.Sizes{Slots: 3, Rows: 24, Seqs: 3, Outs: 24}

// some is a batch of pieces of prompts and single tokens of several sequences, some of whose logits are wanted.
func some(vocab, seed int) *op.Batch {
	tokens := make([]int, 20)
	for i := range tokens {
		tokens[i] = (i*31 + seed*7 + 3) % vocab
	}
	b := new(op.Batch)
	b.Add(1, tokens[:13], 4)
	b.Add(0, tokens[13:14], 1)
	b.Add(2, tokens[14:], 0)
	return b
}

// same wants the same bits.
func same(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: want %d values, got %d", what, len(want), len(got))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: element %d: want %v bit for bit, got %v", what, i, want[i], got[i])
		}
	}
}

// compare wants the logits of some batches, and all states behind them, from both executors alike. States that one has
// read continue on the other.
func compare(t *testing.T, prog *op.Program, got, want op.Executor) {
	t.Helper()
	for seed := range 3 {
		b := some(prog.Vocab, seed)
		for _, e := range []op.Executor{got, want} {
			if err := e.Forward(b); err != nil {
				t.Fatal(err)
			}
		}
		for i := range b.Outs {
			same(t, fmt.Sprintf("batch %d: logits %d", seed, i), got.Logits(i), want.Logits(i))
		}
		for slot := range someSizes.Slots {
			var states [2][]float32
			for i, e := range []op.Executor{got, want} {
				states[i] = make([]float32, prog.StateLen())
				if err := e.ReadState(slot, states[i]); err != nil {
					t.Fatal(err)
				}
			}
			same(t, fmt.Sprintf("batch %d: state %d", seed, slot), states[0], states[1])
			if err := errors.Join(got.WriteState(slot, states[1]), want.WriteState(slot, states[0])); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A model of any version gives the same bits on one executor, on two and on three.
func TestSameAsOne(t *testing.T) {
	eachVersion(t, func(t *testing.T, m *model.Model) {
		for _, c := range []struct{ parts, pieces int }{{1, 1}, {2, 1}, {2, 4}, {3, 1}, {3, 5}} {
			t.Run(fmt.Sprintf("%d parts, %d pieces", c.parts, c.pieces), func(t *testing.T) {
				one, err := cpu.New(m.Program, cpu.Options{Sizes: someSizes, Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = one.Close() }()
				compare(t, m.Program, onCPU(t, m.Program, someSizes, c.parts, c.pieces, nil), one)
			})
		}
	})
}

// line describes a step without the places of token shifts, which differ in parts.
func line(p *op.Program, i int) string {
	one := op.Program{Steps: p.Steps[i : i+1]}
	text := one.String()
	for _, name := range []string{"State", "Last"} {
		if at := strings.Index(text, name); at >= 0 && strings.Contains(text, "ShiftMix") {
			end := at + strings.IndexAny(text[at:], " \n")
			text = text[:at] + text[end:]
		}
	}
	return text
}

// Parts have all steps of the whole program, in order, with the same functions and operands; each has the weights and
// states of its own layers, and rows alone cross a cut.
func TestCut(t *testing.T) {
	eachVersion(t, func(t *testing.T, m *model.Model) {
		parts := evenly(t, m.Program, 3)
		next, weights, states := 0, map[*tensor.Tensor]int{}, 0
		for at, p := range parts {
			for i, whole := range p.Steps {
				if got, want := line(p.Program, i), line(m.Program, whole); got != want {
					t.Errorf("part %d: step %d: want %q, got %q", at, i, want, got)
				}
				if _, ok := p.Program.Steps[i].Op.(*op.ShiftCommit); !ok || at == len(parts)-1 {
					if whole != next {
						t.Fatalf("part %d: step %d is step %d of the whole, want %d", at, i, whole, next)
					}
					next++
				}
			}
			for _, w := range p.Program.Of(op.Weight) {
				weights[w.Source]++
			}
			if want := m.Program.StateLen() / len(parts); p.Program.StateLen() != want {
				t.Errorf("part %d: want %d elements of state, got %d", at, want, p.Program.StateLen())
			}
			states += p.Program.StateLen()
			if logits := p.Program.Logits != nil; logits != (at == len(parts)-1) {
				t.Errorf("part %d: logits: %v", at, logits)
			}
		}
		if next != len(m.Program.Steps) || states != m.Program.StateLen() {
			t.Errorf("want %d steps and %d elements of state in all parts, got %d and %d",
				len(m.Program.Steps), m.Program.StateLen(), next, states)
		}
		for _, w := range m.Program.Of(op.Weight) {
			if n, matrix := weights[w.Source], len(w.Shape) == 2; n == 0 || matrix && n > 1 {
				t.Errorf("%s: %d parts have it", w, n)
			}
		}
		crossing := []string{"x"}
		if strings.HasPrefix(m.Version, "v7") || strings.HasPrefix(m.Version, "v8") {
			crossing = append(crossing, "blocks.0.att.v")
		}
		for _, p := range parts[1:] {
			var names []string
			for _, o := range p.Program.Inputs {
				names = append(names, o.Name)
			}
			if slices.Sort(names); !slices.Equal(names, slices.Sorted(slices.Values(crossing))) {
				t.Errorf("layers %d to %d read %q of earlier parts, want %q", p.From, p.To-1, names, crossing)
			}
		}
	})
}

// A slot begins with the initial state that the whole program has, however it came by its values.
func TestInitialValues(t *testing.T) {
	m := golden.Tiny(t)
	var want []float32
	for i, o := range m.Program.Of(op.State) {
		values := make([]float32, o.Width)
		for j := range values {
			values[j] = float32(1000*i + j)
		}
		data := make([]byte, tensor.F32.Bytes(o.Width))
		tensor.F32.Encode(data, values)
		o.InitialValues = tensor.FromBytes(o.Name, tensor.F32, []int{o.Width}, data)
		want = append(want, values...)
	}
	got := make([]float32, len(want))
	if err := onCPU(t, m.Program, someSizes, 2, 1, nil).ReadState(2, got); err != nil {
		t.Fatal(err)
	}
	same(t, "initial state", got, want)
}

// A cut that leaves a part without layers is refused.
func TestCutRefuses(t *testing.T) {
	m := golden.Tiny(t)
	layers := Layers(m.Program)
	for _, firsts := range [][]int{{0}, {-1}, {layers}, {1, 1}, {layers + 3}} {
		if _, err := Cut(m.Program, firsts); err == nil || !strings.Contains(err.Error(), "ascend from 1") {
			t.Errorf("cuts before %v of %d layers: got error %v", firsts, layers, err)
		}
	}
}
