package op

import (
	"fmt"
	"strings"
)

// Act is the function applied to a matrix product.
type Act uint8

// The activations.
const (
	Identity Act = iota
	Tanh
	Sigmoid
	ReLU2    // max(z, 0)^2
	Decay    // exp(DecayScale * sigmoid(z)): RWKV-7's decay, in (0.545, 1)
	SiLU     // z * sigmoid(z)
	ExpDecay // exp(-exp(z)): RWKV-6's decay, in [0, 1]
	actEnd
)

// DecayScale is -exp(-1/2) as RWKV-7's reference code spells it (ChatRWKV model.py: 0.606531).
const DecayScale = -0.606531

var actNames = [...]string{Identity: "identity", Tanh: "tanh", Sigmoid: "sigmoid", ReLU2: "relu2", Decay: "decay",
	SiLU: "silu", ExpDecay: "exp decay"}

// String returns the activation's name.
func (a Act) String() string {
	if a < actEnd {
		return actNames[a]
	}
	return fmt.Sprintf("Act(%d)", uint8(a))
}

// Combine says how a product is combined with other vectors.
type Combine uint8

// The ways to combine.
const (
	Set  Combine = iota // y = z
	Add                 // y = From + z: a residual connection
	Lerp                // y = From + (To - From) * z: RWKV-7's value residual, RWKV-6's token shift
	Gate                // y = From + To * z: a residual connection behind a receptance
	Mul                 // y = From * z
	combineEnd
)

var combineNames = [...]string{Set: "set", Add: "add", Lerp: "lerp", Gate: "gate", Mul: "mul"}

// String returns the combination's name.
func (c Combine) String() string {
	if c < combineEnd {
		return combineNames[c]
	}
	return fmt.Sprintf("Combine(%d)", uint8(c))
}

// ReadsFrom reports whether c needs Part.From.
func (c Combine) ReadsFrom() bool { return c != Set }

// ReadsTo reports whether c needs Part.To.
func (c Combine) ReadsTo() bool { return c == Lerp || c == Gate }

// Part is one product of a MatMul.
type Part struct {
	W        *Operand // [M, K]
	X        View     // row or out [K]
	Scale    float32  // of the product; 0 is 1
	Bias     *Operand // [M] or nil
	Act      Act
	Combine  Combine
	From, To View // of Y's kind [M]; From may be Y itself
	Y        View // of X's kind [M]
}

// MatMul is a group of matrix products that run side by side; none reads what another writes.
//
//	z = Act(Scale * (W * X[t]) + Bias);  Y[t] = Combine(z, From[t], To[t])
type MatMul struct {
	Parts []Part
}

// Check verifies kinds and shapes.
func (o *MatMul) Check() error {
	c := checker{op: "MatMul"}
	c.is(len(o.Parts) >= 1 && len(o.Parts) <= MaxParts, "Parts", fmt.Sprintf("1 to %d", MaxParts), len(o.Parts))
	for i := range o.Parts {
		p := &o.Parts[i]
		c.op = fmt.Sprintf("MatMul part %d", i)
		c.matrix("W", p.W, p.Y.Len, p.X.Len)
		c.view("X", p.X, o.Parts[0].X)
		c.view("Y", p.Y, o.Parts[0].X)
		if p.Bias != nil {
			c.vector("Bias", p.Bias, p.Y.Len)
		}
		c.is(p.Act < actEnd, "Act", "a known activation", p.Act)
		c.is(p.Combine < combineEnd, "Combine", "a known combination", p.Combine)
		if p.Combine.ReadsFrom() {
			c.view("From", p.From, p.Y)
			c.is(p.From.Len == p.Y.Len, "From", fmt.Sprint(p.Y.Len), p.From.Len)
		}
		if p.Combine.ReadsTo() {
			c.view("To", p.To, p.Y)
			c.is(p.To.Len == p.Y.Len, "To", fmt.Sprint(p.Y.Len), p.To.Len)
		}
	}
	for i := range o.Parts {
		for j := range o.Parts {
			o.independent(&c, i, j)
		}
	}
	return c.err
}

// independent checks that part i neither reads nor writes anything that part j writes. A part's own From and To may be
// its Y, element for element.
func (o *MatMul) independent(c *checker, i, j int) {
	p, y := &o.Parts[i], o.Parts[j].Y
	c.op = fmt.Sprintf("MatMul part %d", i)
	check := func(field string, v View, may bool) {
		if !may && v.overlaps(y) {
			c.fail(field, "want nothing that part %d writes, got %s", j, v)
		}
	}
	check("X", p.X, false)
	check("Y", p.Y, i == j)
	if p.Combine.ReadsFrom() {
		check("From", p.From, i == j && p.From == y)
	}
	if p.Combine.ReadsTo() {
		check("To", p.To, i == j && p.To == y)
	}
}

// MaxParts is the largest number of parts of a MatMul.
const MaxParts = 8

// Operands visits the op's views.
func (o *MatMul) Operands(visit func(string, View, Access)) {
	for i := range o.Parts {
		p := &o.Parts[i]
		visit("W", p.W.All(), Read)
		visit("X", p.X, Read)
		if p.Bias != nil {
			visit("Bias", p.Bias.All(), Read)
		}
		if p.Combine.ReadsFrom() {
			visit("From", p.From, Read)
		}
		if p.Combine.ReadsTo() {
			visit("To", p.To, Read)
		}
		visit("Y", p.Y, Write)
	}
}

// Factor returns the factor of the product: Scale, or 1 if Scale is not set.
func (p *Part) Factor() float32 {
	if p.Scale == 0 {
		return 1
	}
	return p.Scale
}

// Functions names the activation and combination of each part.
func (o *MatMul) Functions() string {
	list := make([]string, len(o.Parts))
	for i, p := range o.Parts {
		list[i] = fmt.Sprintf("%s %s", p.Act, p.Combine)
		if s := p.Factor(); s != 1 {
			list[i] = fmt.Sprintf("*%g ", s) + list[i]
		}
	}
	return "(" + strings.Join(list, ", ") + ")"
}

// Apply has b do the operation.
func (o *MatMul) Apply(b Backend) error { return b.MatMul(o) }
