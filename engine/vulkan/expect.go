package vulkan

import (
	"fmt"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// work is how many elements ops touch, for one row after the other: a coarse measure of their time, by which a wait for
// what was never run is bounded.
func work(o op.Op, s shape) float64 {
	var n float64
	if product, ok := o.(*op.MatMul); ok {
		for i := range product.Parts {
			n += float64(product.Parts[i].W.Width) * float64(s.rows)
		}
	}
	o.Operands(func(_ string, v op.View, _ op.Access) {
		if v.Of.Kind != op.Weight {
			n += float64(v.Len) * float64(s.rows)
		}
	})
	return n
}

// unmeasuredPace is the time for an element on a device of which nothing is known. Drivers that emulate one on a single
// busy core are faster.
const unmeasuredPace = 10 * time.Nanosecond

// expected returns how long so much work should take, by the largest pass so far.
func (e *Exec) expected(work float64) time.Duration {
	pace := float64(unmeasuredPace)
	if e.known.work > 0 {
		pace = float64(e.known.took) / e.known.work
	}
	return time.Duration(min(work*pace, float64(24*time.Hour)))
}

// drawWork is what a draw does for each id, in elements: it looks at it many times over, and emulated lanes are slow at it.
const drawWork = 256

// expect says that so much work is recorded.
func (r *recorder) expect(work float64) {
	r.work += work
	r.rec.Expect(r.expected(work))
}

// describePass says in words what batches of a shape are.
func describePass(s shape) string {
	switch {
	case s.rows > s.seqs && s.seqs > 1:
		return fmt.Sprintf("prefill of %d tokens of %d sequences", s.rows, s.seqs)
	case s.rows > s.seqs:
		return fmt.Sprintf("prefill of %d tokens", s.rows)
	case s.rows > 1:
		return fmt.Sprintf("decode of a token of %d sequences", s.rows)
	}
	return "decode of a token"
}

// describeSteps names the units [from, to) of passes.
func (e *Exec) describeSteps(from, to int) string {
	name := func(i int) string {
		if i %= len(e.prog.Steps) + 1; i < len(e.prog.Steps) {
			return e.prog.Steps[i].Name
		}
		return "draw"
	}
	if to-from < 2 {
		return "step " + name(from)
	}
	return "steps " + name(from) + " to " + name(to-1)
}
