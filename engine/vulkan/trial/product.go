package trial

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// product runs one dispatch of a product in several forms.
type product struct {
	*Bench
	u     *kernel.Product
	turns []*kernel.Product // u, and the products that differ from u in their weights alone
	n     uint32
	buf   *gpu.Buffer
	at    kernel.Bound
	input []byte // of all of buf
	share uint32 // one in so many rows is run, see Probe; 0: all rows are
	sized bool   // reports whether n is final
	clock func() (since func() time.Duration)
}

// turnsBytes is a number of bytes that fit no device's last cache.
const turnsBytes = 256 << 20

// since starts a clock.
func since() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

func (t *product) String() string { return "weights of type " + t.u.Type.String() }

// product returns a trial for passes of n tokens.
func (b *Bench) product(u *kernel.Product, n uint32) *product {
	return &product{Bench: b, u: u, turns: u.Alike(turnsBytes), n: u.Tried(n), clock: since}
}

// Prepare makes a copy of the scratch that the product touches, of random numbers. The copy leaves out what lies
// between the operands.
func (t *product) Prepare() error {
	x, from, y := t.u.Hulls()
	places, size := together(x, from, y)
	rng := rand.New(rand.NewPCG(3, 5))
	all := make([]float32, size)
	for i := range all {
		all[i] = rng.Float32() - 0.5
	}
	t.input = make([]byte, tensor.F32.Bytes(size))
	tensor.F32.Encode(t.input, all)
	var err error
	if t.buf, err = t.Dev.NewBuffer("product (trial)", len(t.input), gpu.DeviceLocal); err != nil {
		return err
	}
	t.at = kernel.Bound{X: places[0].In(t.buf), From: places[1].In(t.buf), Y: places[2].In(t.buf)}
	return nil
}

// together returns where some hulls lie if what is between them is left out, and how many elements they then take.
// Hulls that overlap keep their places relative to each other. Empty hulls stay empty.
func together(hulls ...kernel.Hull) (places []kernel.Hull, size int) {
	order := make([]int, len(hulls))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return hulls[i].From - hulls[j].From })
	places = make([]kernel.Hull, len(hulls))
	from, to := 0, 0 // of hulls that overlap, where they lay
	for _, i := range order {
		h := hulls[i]
		if h.To == 0 {
			continue
		}
		if h.From >= to {
			size = (size + to - from + op.Align - 1) / op.Align * op.Align // where a binding may begin
			from, to = h.From, h.From
		}
		places[i] = kernel.Hull{From: size + h.From - from, To: size + h.To - from}
		to = max(to, h.To)
	}
	return places, size + to - from
}

// Release frees the memory.
func (t *product) Release() {
	t.buf.Release()
	t.buf = nil
}

// commands records the product times over, with the weights of different layers in turn. So a run does not find its
// weights in a cache, as a pass would not either.
func (t *product) commands(f tune.Form, times int) (*gpu.Commands, error) {
	return t.recorded(f, times, func(int) kernel.Bound { return t.at })
}

func (t *product) recorded(f tune.Form, times int, at func(turn int) kernel.Bound) (*gpu.Commands, error) {
	rec := t.Dev.NewRecording()
	rec.SetName(fmt.Sprintf("tuning trial of kernel %s, %d tokens, for %s", f, t.n, t))
	rec.Expect(t.Expected(float64(times) * float64(t.n) * float64(t.u.Bytes))) // an element has a byte, more or less
	n, groups := t.n, uint32(math.MaxUint32)
	if t.share > 1 {
		x, _ := t.u.Groups(f, n)
		n, groups = min(n, t.u.Tile(f)), max(x/t.share, 1)
	}
	for i := range times {
		turn := i % len(t.turns)
		if err := t.turns[turn].Record(rec, at(turn), n, f, groups); err != nil {
			return nil, err
		}
	}
	return rec.End()
}

// probed is the share of the rows that a probe takes: one in so many.
const probed = 8

// leastTrial is the fewest tokens that a trial takes for many.
const leastTrial = 16

// Probe runs the form for one tile of tokens and a share of the rows. The first probe is that of the usual form. It
// also decides how many tokens the trial takes: fewer on a device so slow that all of them would keep it busy for long.
func (t *product) Probe(f tune.Form) (time.Duration, error) {
	if f.Kernel == form.Hold {
		return 0, nil
	}
	t.share = probed
	defer func() { t.share = 0 }()
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
	x, y := t.u.Groups(f, t.n)
	about := took * time.Duration(x) / time.Duration(max(x/probed, 1)) * time.Duration(y)
	for about > tune.LongTrial && t.n > leastTrial && !t.sized {
		t.n, about = t.n/2, about/2
	}
	t.sized = true
	return about, nil
}

// Results returns what the product makes of the input.
func (t *product) Results(f tune.Form) ([]float32, error) { return t.results(t.commands(f, 1)) }

func (t *product) results(c *gpu.Commands, err error) ([]float32, error) {
	if err != nil {
		return nil, err
	}
	defer c.Release()
	if err := t.Dev.Upload(t.buf.All(), t.input); err != nil {
		return nil, err
	}
	if err := c.Run(); err != nil {
		return nil, err
	}
	return t.floats(t.at.Y)
}

// Before returns what lay, before the product ran, where its results come.
func (t *product) Before() []float32 { return gpu.Float32s(t.input[t.at.Y.Offset:][:t.at.Y.Size]) }

// Time returns how long the product takes. If it clearly takes longer than limit, the time is coarse.
func (t *product) Time(f tune.Form, limit time.Duration) (time.Duration, error) {
	return timed(func(times int) (*gpu.Commands, error) { return t.commands(f, times) }, len(t.turns), limit)
}
