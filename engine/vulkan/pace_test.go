package vulkan

import (
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// widthsProgram has a product of k columns and some rows for each, and one of logits, without their numbers.
func widthsProgram(k int, rows ...int) *op.Program {
	var b op.Builder
	product := func(kind op.Kind, m int) {
		w := b.Weight(tensor.New("w", tensor.F16, []int{m, k}, nil), m, k)
		x, y := b.Scratch("x", kind, k), b.Scratch("y", kind, m)
		b.Emit(-1, "product", &op.MatMul{Parts: []op.Part{{W: w, X: x.All(), Y: y.All()}}})
	}
	for _, m := range rows {
		product(op.Row, m)
	}
	product(op.Out, 1<<16)
	return b.Unchecked()
}

// The time that a pass of so many rows takes a device for its longest step stays below what systems allow, whatever the
// model and the speed; a device that is fast enough takes all at once, and one whose speed is known as many as it can.
func TestMostRows(t *testing.T) {
	const rows = 256
	small, large := widthsProgram(768, 768, 2592, 3072, 3072), widthsProgram(4096, 4096, 12288, 16384, 16384)
	for _, c := range []struct {
		name             string
		prog             *op.Program
		pace             float64 // elements a second
		first, one, then int
	}{
		{"small, slow", small, 10e9, 256, 256, 256}, {"small, very slow", small, 0.5e9, 256, 256, 64},
		{"large, fast", large, 10e12, 64, 256, 256}, {"large, slow", large, 10e9, 64, 64, 64}, {"large, very slow", large, 2e9, 64, 64, 8},
	} {
		p := &pacing{work: rowWorkOf(c.prog)}
		took := func(rows int) time.Duration {
			return time.Duration(float64(rows) * p.work.all / c.pace * float64(time.Second))
		}
		if got := p.mostRows(rows); got != c.first {
			t.Errorf("%s: nothing known: want %d rows, got %d", c.name, c.first, got)
		}
		p.known = known{rows: 1, took: 8 * took(1)} // one row is no eighth of eight
		if got := p.mostRows(rows); got != c.one {
			t.Errorf("%s: one row known: want %d rows, got %d", c.name, c.one, got)
		}
		for range 3 {
			n := p.mostRows(rows)
			p.known.learn(known{rows: n, took: took(n)})
		}
		if got := p.mostRows(rows); got != c.then {
			t.Errorf("%s: in the end want %d rows, got %d", c.name, c.then, got)
		}
		step := time.Duration(float64(p.mostRows(rows)) * p.work.most / c.pace * float64(time.Second))
		if step > longestStep {
			t.Errorf("%s: a step of %s", c.name, step)
		}
	}
	p := &pacing{}
	if got := p.mostRows(rows); got != rows {
		t.Errorf("without products: want %d rows, got %d", rows, got)
	}
	p.work, p.known = rowWorkOf(large), known{rows: 64, took: time.Hour}
	if got := p.mostRows(rows); got != 1 {
		t.Errorf("want one row at least, got %d", got)
	}
}

// One pass that was held up, as by a computer put to sleep, does not cut prompts for good.
func TestMostRowsHeldUp(t *testing.T) {
	const rows, each = 256, time.Millisecond
	p := &pacing{work: rowWorkOf(widthsProgram(4096, 4096, 12288, 16384, 16384))}
	p.known.learn(known{rows: rows, took: time.Hour})
	if got := p.mostRows(rows); got != 1 {
		t.Fatalf("want one row after a pass of an hour, got %d", got)
	}
	for range 10 {
		n := p.mostRows(rows)
		p.known.learn(known{rows: n, took: time.Duration(n) * each})
	}
	if got := p.mostRows(rows); got != rows {
		t.Errorf("want %d rows again, got %d", rows, got)
	}
	p.known.learn(known{rows: 1, took: 8 * each}) // one row is no eighth of eight
	if p.known.rows != rows {
		t.Errorf("want what is known of %d rows kept, got %+v", rows, p.known)
	}
}

// Whatever a pass took, rows are all there are or a power of two of them, and as many as they can be.
func TestMostRowsShapes(t *testing.T) {
	const all = 200
	p := &pacing{work: rowWorkOf(widthsProgram(4096, 4096, 12288, 16384, 16384))}
	seen := map[int]bool{}
	for took := 100 * time.Millisecond; took < time.Hour; took += took / 7 {
		p.known = known{rows: 128, took: took}
		n := p.mostRows(all)
		seen[n] = true
		step := func(n int) float64 { return float64(n) / 128 * took.Seconds() * p.work.most / p.work.all }
		if n != all && (n&(n-1) != 0 || step(min(2*n, all)) <= longestStep.Seconds()) || n > 1 && step(n) > longestStep.Seconds() {
			t.Errorf("%d rows after %s for 128", n, took)
		}
	}
	if len(seen) != 9 { // 1 to 128, and 200
		t.Errorf("want each number seen, got %v", seen)
	}
}

// The steps of a submission grow to what fits a burst, and shrink at once.
func TestBurst(t *testing.T) {
	for _, c := range []struct {
		p       burst
		n, want int
	}{
		{burst{}, 100, 1}, {burst{1, time.Millisecond}, 100, 2}, {burst{2, time.Millisecond}, 100, 4},
		{burst{16, time.Millisecond}, 100, 32}, {burst{32, time.Millisecond}, 100, 32}, {burst{32, time.Millisecond}, 31, 16},
		{burst{32, 10 * time.Millisecond}, 100, 4}, {burst{1, time.Second}, 100, 1}, {burst{8, time.Millisecond}, 1, 1},
	} {
		if got := c.p.next(c.n); got != c.want {
			t.Errorf("after %+v, of %d: %d steps, want %d", c.p, c.n, got, c.want)
		}
	}
}
