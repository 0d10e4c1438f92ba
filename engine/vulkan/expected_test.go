package vulkan

import (
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// What a pass should take grows with its rows and its weights, and with the time that the largest pass so far took.
func TestExpected(t *testing.T) {
	m := golden.Tiny(t)
	e := opener(kernels(t), "")(t, m.Program, op.Sizes{Slots: 2, Rows: 64, Seqs: 2, Outs: 2}, 0).(*Prober)
	all := func(s kernel.Shape) (n float64) {
		for i := range m.Program.Steps {
			n += kernel.Effort(m.Program.Steps[i].Op, s)
		}
		return n
	}
	products := 0.0
	for i := range m.Program.Steps {
		if o, ok := m.Program.Steps[i].Op.(*op.MatMul); ok {
			for _, part := range o.Parts {
				products += float64(part.W.Width)
			}
		}
	}
	if one, many := all(kernel.Shape{Rows: 1}), all(kernel.Shape{Rows: 64}); one < products || one > 100*products || many < 60*one {
		t.Errorf("%g elements of weights, %g of a token's work, %g of 64", products, one, many)
	}
	unknown := e.pace.expected(all(kernel.Shape{Rows: 64}))
	if unknown < time.Duration(64*products)*unmeasuredPace {
		t.Errorf("%s for what was never measured", unknown)
	}
	var b op.Batch
	b.Add(0, make([]int, 8), 1)
	ticking(e, 5*time.Second)
	if err := e.Forward(&b); err != nil {
		t.Fatal(err)
	}
	took := e.pace.known.took
	if got := e.pace.expected(all(kernel.Shape{Rows: 64})); took < 5*time.Second || got < 7*took || got > 9*took {
		t.Errorf("%s for 64 tokens after 8 took %s", got, took)
	}
}

// Passes and their steps have names that errors can use.
func TestDescribePass(t *testing.T) {
	for s, want := range map[kernel.Shape]string{{Rows: 5, Seqs: 1}: "prefill of 5 tokens", {Rows: 9, Seqs: 2}: "prefill of 9 tokens of 2 sequences",
		{Rows: 1, Seqs: 1}: "decode of a token", {Rows: 4, Seqs: 4}: "decode of a token of 4 sequences"} {
		if got := describePass(s); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
	e := &runner{prog: golden.Tiny(t).Program}
	n := len(e.prog.Steps)
	for _, c := range []struct {
		from, to int
		want     string
	}{{0, 1, "step " + e.prog.Steps[0].Name}, {1, n, e.prog.Steps[1].Name + " to " + e.prog.Steps[n-1].Name}, {n, n + 2, "draw to " + e.prog.Steps[0].Name}} {
		if got := e.describeSteps(c.from, c.to); !strings.HasSuffix(got, c.want) {
			t.Errorf("[%d, %d): %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
