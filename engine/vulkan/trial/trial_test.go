package trial

import (
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

// A probe is a small part of the work, and on a device that takes long for it fewer tokens are tried.
func TestProbe(t *testing.T) {
	const rows, width = 512, 256
	set := kernel.NewSet(gputest.Device(t))
	defer set.Release()
	set.Is.Narrow = profile.Narrow{Many: 1}
	var b op.Builder
	w := tensor.New("w", tensor.F16, []int{rows, width}, func() ([]byte, error) { return make([]byte, tensor.F16.Bytes(rows*width)), nil })
	x, y := b.Scratch("x", op.Row, width), b.Scratch("y", op.Row, rows)
	b.Emit(-1, "product", &op.MatMul{Parts: []op.Part{{W: b.Weight(w, rows, width), X: x.All(), Y: y.All()}}})
	prog := b.Unchecked()
	env := &kernel.Env{Set: set, Prog: prog, Plan: op.NewPlan(prog, op.Sizes{Slots: 1, Rows: 64, Seqs: 1}, 0), Loads: profile.Buffers}
	load := layout.NewLoader(set.Dev, prog, nil)
	steps, err := kernel.Steps(env, load)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, b := range load.Buffers {
			b.Release()
		}
	}()
	choice := steps[0].Choices(kernel.Shape{Rows: 64, Seqs: 1})[0]
	u, f := choice.Work.(*kernel.Dense), choice.Forms[0]
	bench := &Bench{Dev: set.Dev, Expected: func(float64) time.Duration { return time.Second }}
	for _, c := range []struct {
		part time.Duration
		want uint32
	}{{time.Microsecond, 64}, {10 * time.Second, leastTrial}} {
		trial := bench.product(u.Product, 64)
		trial.clock = func() func() time.Duration { return func() time.Duration { return c.part } }
		if err := trial.Prepare(); err != nil {
			t.Fatal(err)
		}
		x, y := u.Groups(f, 64)
		about, err := trial.Probe(f)
		if whole := c.part * time.Duration(x/max(x/probed, 1)*y); err != nil || trial.n != c.want || about < whole/time.Duration(64/c.want) || about > 2*whole {
			t.Errorf("%s: want %d tokens, got %d and %s (%v)", c.part, c.want, trial.n, about, err)
		}
		if _, err := trial.Probe(f); err != nil || trial.n != c.want {
			t.Errorf("%s: another form's probe changed the tokens to %d (%v)", c.part, trial.n, err)
		}
		trial.Release()
	}
}

// Hulls that meet keep their places to each other, what lies between others is left out, and no two come to meet; each
// begins where a binding may.
func TestTogether(t *testing.T) {
	h := func(from, to int) kernel.Hull { return kernel.Hull{From: from, To: to} }
	for _, c := range []struct {
		hulls, want []kernel.Hull
		size        int
	}{
		{[]kernel.Hull{h(640, 1280), {}, h(6400, 7040)}, []kernel.Hull{h(0, 640), {}, h(640, 1280)}, 1280},
		{[]kernel.Hull{h(6400, 7040), h(640, 704), h(1280, 1344)}, []kernel.Hull{h(128, 768), h(0, 64), h(64, 128)}, 768},
		{[]kernel.Hull{h(640, 670), h(1280, 1281), h(1920, 1930)}, []kernel.Hull{h(0, 30), h(64, 65), h(128, 138)}, 138},
		{[]kernel.Hull{h(64, 256), h(128, 192), h(192, 320)}, []kernel.Hull{h(0, 192), h(64, 128), h(128, 256)}, 256},
		{[]kernel.Hull{h(0, 64), h(0, 64), h(0, 64)}, []kernel.Hull{h(0, 64), h(0, 64), h(0, 64)}, 64},
	} {
		if got, size := together(c.hulls...); !slices.Equal(got, c.want) || size != c.size {
			t.Errorf("%v: want %v in %d, got %v in %d", c.hulls, c.want, c.size, got, size)
		}
	}
}
