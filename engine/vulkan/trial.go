package vulkan

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// trial runs one unit of a product in several forms. It works in the executor's scratch.
type trial struct {
	e     *Exec
	u     *unit
	turns []*unit // u, and those that differ from it in their weights alone
	n     uint32
	input []byte // all of the scratch that the unit touches, before it
	held  []byte // what lay there
	span  gpu.Range
	part  uint32 // of the rows, see probe; 0: all
	sized bool   // n is what it will be
	clock func() (since func() time.Duration)
}

// trialTokens stand for any number of tokens that are many.
const trialTokens = 64

// since begins to measure time.
func since() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func (t *trial) String() string { return "weights of type " + t.u.Type.String() }

// newTrial returns a trial for passes of n tokens.
func (e *Exec) newTrial(u *unit, n uint32) *trial {
	whole := hull{from: u.y.from, to: u.y.to}
	for _, h := range []hull{u.x, u.from} {
		if h.to > 0 {
			whole.from, whole.to = min(whole.from, h.from), max(whole.to, h.to)
		}
	}
	rng := rand.New(rand.NewPCG(3, 5))
	x := make([]float32, whole.to-whole.from)
	for i := range x {
		x[i] = rng.Float32() - 0.5
	}
	t := &trial{e: e, u: u, n: e.tokensTried(u, n), clock: since, span: e.hullRange(whole), input: make([]byte, tensor.F32.Bytes(len(x)))}
	tensor.F32.Encode(t.input, x)
	t.turns = e.alikeUnits(u)
	return t
}

// alikeUnits returns u and the units that do the same with other weights, as those of other layers, in the program's
// order, up to trialBytes.
func (e *Exec) alikeUnits(u *unit) []*unit {
	list, bytes := []*unit{u}, u.Bytes
	for i := range e.prog.Steps {
		o, _ := e.prog.Steps[i].Op.(*op.MatMul)
		units := e.ops.matMuls[o]
		for j := range units {
			v := &units[j]
			if bytes < trialBytes && v.Type == u.Type && v.Rows == u.Rows && len(v.Parts) == len(u.Parts) && v.Bytes == u.Bytes &&
				v.x == u.x && v.from == u.from && v.y == u.y && !slices.Contains(list, v) {
				list, bytes = append(list, v), bytes+v.Bytes
			}
		}
	}
	return list
}

// hold keeps what lies where the trial works, and restore brings it back: a step of a program may yet need it.
func (t *trial) hold() error {
	t.held = make([]byte, t.span.Size)
	return t.e.dev.Download(t.held, t.span)
}

func (t *trial) restore() error { return t.e.dev.Upload(t.span, t.held) }

// commands records the product times over, with the weights of the layers in turn: a pass does not find those of the same
// layer in a cache that the others' do not fit.
func (t *trial) commands(f matMulForm, times int) (*gpu.Commands, error) {
	rec := t.e.dev.NewRecording()
	rec.SetName(fmt.Sprintf("tuning trial of kernel %s, %d tokens, for %s", f, t.n, t))
	rec.Expect(t.e.expected(float64(times) * float64(t.n) * float64(t.u.Bytes))) // an element has a byte, more or less
	for i := range times {
		n, groups := t.n, uint32(math.MaxUint32)
		if t.part > 1 {
			x, _ := t.e.kernels.shape.groups(f, t.u.Rows, n)
			n, groups = min(n, t.e.kernels.shape.tile(f)), max(x/t.part, 1)
		}
		if err := t.e.productPart(rec, t.turns[i%len(t.turns)], n, f, groups); err != nil {
			return nil, err
		}
	}
	return rec.End()
}

// probed is the part of the rows that a probe takes.
const probed = 8

// leastTrial is the fewest tokens that stand for many.
const leastTrial = 16

// probe runs the form for one tile of tokens and a part of the rows. The usual form's probe, which is the first, also
// decides how many tokens are tried on a device so slow that all of them would keep it busy for long.
func (t *trial) probe(f matMulForm) (time.Duration, error) {
	if f.kernel == Sparse || f.kernel == Hold {
		return 0, nil
	}
	t.part = probed
	defer func() { t.part = 0 }()
	c, err := t.commands(f, 1)
	if err != nil {
		return 0, err
	}
	defer c.Release()
	var took time.Duration
	for range 2 { // drivers may put off making a kernel until it runs
		since := t.clock()
		if err := c.Run(); err != nil {
			return 0, err
		}
		took = since()
	}
	x, y := t.e.kernels.shape.groups(f, t.u.Rows, t.n)
	about := took * time.Duration(x) / time.Duration(max(x/probed, 1)) * time.Duration(y)
	for about > longTrial && t.n > leastTrial && !t.sized {
		t.n, about = t.n/2, about/2
	}
	t.sized = true
	return about, nil
}

// results returns what the product makes of the input.
func (t *trial) results(f matMulForm) ([]float32, error) {
	c, err := t.commands(f, 1)
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := t.e.dev.Upload(t.span, t.input); err != nil {
		return nil, err
	}
	if err := c.Run(); err != nil {
		return nil, err
	}
	y := t.e.hullRange(t.u.y)
	data := make([]byte, y.Size)
	if err := t.e.dev.Download(data, y); err != nil {
		return nil, err
	}
	return gpu.Float32s(data), nil
}

// before returns what lies, before the product, where its results come.
func (t *trial) before() []float32 {
	y := t.e.hullRange(t.u.y)
	return gpu.Float32s(t.input[y.Offset-t.span.Offset:][:y.Size])
}

// A measurement is repeated so long that a submission's own time and a moment's disturbance do not count; one that is
// clearly slower than another is given up as soon as the submission's own time does not count.
const (
	trialTime = 4 * time.Millisecond
	clearTime = trialTime / 4
	trialRuns = 3
	trialLong = 10 * trialTime                            // a run that takes so long is not repeated
	trialMost = int(trialTime * 5 / 4 / time.Microsecond) // times that are enough of what takes less than that
)

// trialBytes of weights do not fit any device's last cache.
const trialBytes = 256 << 20

// time returns how long the product takes, or about limit once it is clear that it takes longer.
func (t *trial) time(f matMulForm, limit time.Duration) (time.Duration, error) {
	return timed(func(times int) (*gpu.Commands, error) { return t.commands(f, times) }, len(t.turns), limit)
}

// timed is timedBy of what commands records.
func timed(commands func(times int) (*gpu.Commands, error), turns int, limit time.Duration) (time.Duration, error) {
	return timedBy(func(times int) (time.Duration, error) {
		c, err := commands(times)
		if err != nil {
			return 0, err
		}
		defer c.Release()
		return shortest(c)
	}, turns, limit)
}

// timedBy returns how long one takes of what run does times over, for different weights by turns, or about limit once it is
// clear that it takes longer.
func timedBy(run func(times int) (time.Duration, error), turns int, limit time.Duration) (time.Duration, error) {
	for times := 1; ; {
		best, err := run(times)
		if err != nil {
			return 0, err
		}
		each := best / time.Duration(times)
		if best >= trialTime || times >= trialMost || best >= clearTime && limit > 0 && each > 3*limit/2 {
			return each, nil
		}
		times = min(times*8, max(times+1, int(trialTime*5/4/max(each, time.Microsecond))))
		if times%turns != 0 && each*time.Duration(times+turns) < trialLong {
			times += turns - times%turns
		}
	}
}

// shortest returns the shortest of some runs of c.
func shortest(c *gpu.Commands) (best time.Duration, err error) {
	for i := range trialRuns {
		start := time.Now()
		if err := c.Run(); err != nil {
			return 0, err
		}
		d := time.Since(start)
		if i == 0 || d < best {
			best = d
		}
		if d >= trialLong {
			break
		}
	}
	return best, nil
}
