package kernel

import (
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Product is what one dispatch computes of a MatMul.
type Product struct {
	layout.Slab
	env        *Env
	x, from, y Hull
	first      int    // in the table of parts
	step       int    // of the program
	sparse     bool   // reports whether its input has many zeros
	panels     panels // provided for sparse forms
}

// Hull is the smallest range of scratch that contains several operands, in elements.
type Hull struct{ From, To int }

func (h *Hull) add(p *op.Plan, o *op.Operand) {
	at := p.Offset[o.ID]
	if h.To == 0 {
		h.From = at
	}
	h.From, h.To = min(h.From, at), max(h.To, at+p.Extent(o))
}

// In returns where the hull lies in a buffer of the scratch. An empty hull is not read, so it gets any range.
func (h Hull) In(b *gpu.Buffer) gpu.Range {
	if h.To == 0 {
		return b.Range(0, 4*op.Align)
	}
	return b.Range(4*h.From, 4*(h.To-h.From))
}

// Hulls returns the scratch of the parts' inputs, of the operands that they are combined with, and of their outputs. An
// empty hull is not read.
func (u *Product) Hulls() (x, from, y Hull) { return u.x, u.from, u.y }

// matMul is a group of products.
type matMul struct {
	o        *op.MatMul
	products []*Product
}

// MatMul uploads the group's matrices.
func (b *builder) MatMul(o *op.MatMul) error {
	s := &matMul{o: o}
	b.made = s
	list, err := b.load.Slabs(o, b.env.Set.forms.Bounds(b.env.Exact))
	for i := range list {
		u := &Product{Slab: list[i], env: b.env, first: len(b.parts) / glsl.PartWords, step: b.at}
		u.sparse = b.sparse[o] && u.onePlain()
		if err := b.place(u); err != nil {
			return err
		}
		s.products = append(s.products, u)
	}
	b.env.products = append(b.env.products, s.products...)
	return err
}

// place finds the scratch of a product's parts, and describes the parts.
func (b *builder) place(u *Product) error {
	plan := b.env.Plan
	for _, part := range u.Parts {
		u.x.add(plan, part.X.Of)
		u.y.add(plan, part.Y.Of)
		if part.Combine.ReadsFrom() {
			u.from.add(plan, part.From.Of)
		}
		if part.Combine.ReadsTo() {
			u.from.add(plan, part.To.Of)
		}
	}
	for _, part := range u.Parts {
		if err := b.describe(u, part); err != nil {
			return err
		}
	}
	return nil
}

// acts and combines are the kernels' numbers.
var (
	acts = [...]uint32{op.Identity: 0, op.Tanh: glsl.ActTanh, op.Sigmoid: glsl.ActSigmoid, op.ReLU2: glsl.ActReLU2, op.Decay: glsl.ActDecay,
		op.SiLU: glsl.ActSiLU, op.ExpDecay: glsl.ActExpDecay}
	combines = [...]uint32{op.Set: 0, op.Add: glsl.CombineAdd, op.Lerp: glsl.CombineLerp, op.Gate: glsl.CombineGate, op.Mul: glsl.CombineMul}
)

// describe appends a part's row to the table that the kernels read.
func (b *builder) describe(u *Product, part layout.Part) error {
	at := func(h Hull, v op.View, off int) uint32 {
		return uint32(b.env.Plan.Offset[v.Of.ID] + v.Off + off - h.From)
	}
	row := glsl.Part{Row: uint32(part.Row), Rows: uint32(part.Rows), Units: uint32(layout.Words(part.W)), Weight: uint32(part.Weight / layout.WordBytes),
		X: at(u.x, part.X, 0) / 4, XStride: uint32(part.X.Of.Stride() / 4), Y: at(u.y, part.Y, part.M0), YStride: uint32(part.Y.Of.Stride()),
		Bias: glsl.None, Act: acts[part.Act], Combine: combines[part.Combine], Scale: part.Factor()}
	if part.Bias != nil {
		off, err := b.load.Vector(part.Bias)
		if err != nil {
			return err
		}
		row.Bias = off + uint32(part.M0)
	}
	if part.Combine.ReadsFrom() {
		row.From, row.FromStride = at(u.from, part.From, part.M0), uint32(part.From.Of.Stride())
	}
	if part.Combine.ReadsTo() {
		row.To, row.ToStride = at(u.from, part.To, part.M0), uint32(part.To.Of.Stride())
	}
	words := row.Words()
	b.parts = append(b.parts, words[:]...)
	return nil
}

// Choices returns the forms of each product. For one token it adds the forms that skip zeros, if the input has many.
func (s *matMul) Choices(shape Shape) []Choice {
	n := uint32(shape.Count(s.o.Parts[0].X.Of.Kind))
	if n == 0 {
		return nil
	}
	var list []Choice
	for _, u := range s.products {
		list = append(list, u.choice(n))
		if zeros, ok := u.zeros(n); ok {
			list = append(list, zeros)
		}
	}
	return list
}

// Record records the group's dispatches.
func (s *matMul) Record(r *Recorder, chosen []tune.Form) error {
	n := uint32(r.Shape.Count(s.o.Parts[0].X.Of.Kind))
	if n == 0 {
		return nil
	}
	for _, u := range s.products {
		f := chosen[0]
		chosen = chosen[1:]
		if _, ok := u.zeros(n); ok {
			if chosen[0].Kernel == form.Sparse {
				f = chosen[0]
			}
			chosen = chosen[1:]
		}
		if err := (&Dense{u, n}).RecordAt(r, f); err != nil {
			return err
		}
	}
	return nil
}

// Dense is a product over so many tokens.
type Dense struct {
	*Product
	Tokens uint32
}

// RecordAt records the product on the vectors of the recorder's batch.
func (d *Dense) RecordAt(r *Recorder, f tune.Form) error {
	at := Bound{d.x.In(r.At.Scratch), d.from.In(r.At.Scratch), d.y.In(r.At.Scratch), d.panels.all()}
	return d.Record(r.Rec, at, d.Tokens, f, math.MaxUint32)
}

// Provide does nothing: the forms read the weights as they are.
func (*Dense) Provide(tune.Form) error { return nil }

// choice returns the forms of a product over n tokens.
func (u *Product) choice(n uint32) Choice {
	forms, forced := u.env.Set.forms, u.env.Forced.MatMul
	c := tune.Choice{Device: u.env.Set.Dev.Info().Name, Key: u.key(n), On: u.env.On, Kind: tune.KindOf(n > form.FewTokens)}
	switch {
	case forced == "" && u.env.Exact:
		c.Forms = forms.Exact(&u.Slab, u.Tried(n))
	case forced == "" && u.env.Half && n > form.FewTokens:
		c.Forms = forms.Halves(&u.Slab, u.Tried(n))
	case forced == "" && u.env.Tuned:
		c.Forms = forms.Candidates(&u.Slab, u.Tried(n))
	case forced == "", forced == form.Sparse, // as far as it suits: see zeros
		(forced == form.Narrow || forced == form.Hold) && !emulated.Takes(*forms.Profile, forced, &u.Slab), forced == form.Shared && !forms.TakesShared(&u.Slab):
		c.Forms = []tune.Form{forms.Usual(&u.Slab, n)}
	default:
		c.Forms = []tune.Form{forms.Within(forms.Of(forced, n), &u.Slab, n)}
	}
	if forced == "" {
		c.Forms = u.env.fit(u.Type.String(), c.Forms, func() []tune.Form { return u.spare(n) })
	}
	if !u.env.Tuned {
		c.Forms = c.Forms[:1]
	}
	return Choice{c, &Dense{u, n}}
}

// key names a product of n tokens on the device. Numbers of tokens that are one tile of the same size have one key. All
// numbers beyond form.FewTokens have one key too, except those for which matmul_hold would begin later.
func (u *Product) key(n uint32) string {
	tokens := fmt.Sprint(form.TileFor(n, form.FewTokens))
	if n > form.FewTokens {
		tokens = "many"
		if u.beforeHold(n) {
			tokens = fmt.Sprint(n)
		}
	}
	return u.env.On + fmt.Sprintf("%s %d rows, %d bytes, %s tokens", u.Type, u.Rows, u.Bytes, tokens)
}

// beforeHold reports whether n is below the number of tokens from which matmul_hold takes the slab.
func (u *Product) beforeHold(n uint32) bool {
	return n < emulated.HoldLeast && emulated.Takes(u.env.Set.Is, form.Hold, &u.Slab)
}

// manyTokens is the number of tokens that trials take for any number of many tokens.
const manyTokens = 64

// Tried returns how many tokens a trial takes for n. All numbers of many tokens have one trial, whichever pass comes
// first: a trial of a short pass's tokens would not tell which form is best for a long one.
func (u *Product) Tried(n uint32) uint32 {
	if n <= form.FewTokens || u.beforeHold(n) {
		return n
	}
	x := u.Parts[0].X.Of
	return min(uint32(u.env.Plan.Extent(x)/x.Stride()), manyTokens)
}

// Groups returns the workgroups of a form for n tokens.
func (u *Product) Groups(f tune.Form, n uint32) (x, y uint32) {
	return u.env.Set.forms.Groups(f, u.Rows, n)
}

// Tile returns how many tokens a workgroup of the form takes.
func (u *Product) Tile(f tune.Form) uint32 { return u.env.Set.forms.Tile(f) }

// Alike returns u and the products that do the same with other weights, for example those of other layers. They come in
// the program's order, and have together about most bytes of weights.
func (u *Product) Alike(most int) []*Product {
	list, bytes := []*Product{u}, u.Bytes
	for _, v := range u.env.products {
		if bytes < most && v != u && v.Type == u.Type && v.Rows == u.Rows && len(v.Parts) == len(u.Parts) && v.Bytes == u.Bytes &&
			v.x == u.x && v.from == u.from && v.y == u.y {
			list, bytes = append(list, v), bytes+v.Bytes
		}
	}
	return list
}
