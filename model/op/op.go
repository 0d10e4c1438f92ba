// Package op has every operation of the engine once: a struct with named operands, its formula, and the check of its
// shapes. A Program is a flat list of them. The package knows no device. A Backend has one method for each op, so a
// backend that lacks one does not compile.
package op

// Op is one operation on named operands.
type Op interface {
	// Check verifies kinds and shapes.
	Check() error
	// Operands calls visit for each view that the op reads, writes or updates.
	Operands(visit func(name string, v View, a Access))
	// Apply has the backend do the operation.
	Apply(Backend) error
}

// Access says what an op does with an operand.
type Access uint8

// The kinds of access.
const (
	Read Access = 1 << iota
	Write
	Update = Read | Write
)

// Backend does operations: at once, as the CPU reference does, or by recording them for a device.
type Backend interface {
	Embed(*Embed) error
	LayerNorm(*LayerNorm) error
	ShiftMix(*ShiftMix) error
	MatMul(*MatMul) error
	WKV4(*WKV4) error
	WKV6(*WKV6) error
	WKV7(*WKV7) error
	DeepEmbed(*DeepEmbed) error
	ShiftCommit(*ShiftCommit) error
}

// Embed looks up each row's token in the table and normalises the vector, unless the table has normalised ones:
//
//	Y[t] = layer_norm(Table[token[t]]; NormW, NormB, Eps)
type Embed struct {
	Table        *Operand // [vocab, C]
	NormW, NormB *Operand // [C], or both nil for no norm
	Eps          float32
	Y            *Operand // row [C]
}

// Check verifies kinds and shapes.
func (o *Embed) Check() error {
	c := checker{op: "Embed"}
	c.operand("Y", o.Y, Row, 0)
	c.matrix("Table", o.Table, 0, width(o.Y))
	if o.Normed() {
		c.vector("NormW", o.NormW, width(o.Y))
		c.vector("NormB", o.NormB, width(o.Y))
	}
	return c.err
}

// Normed reports whether there is a norm.
func (o *Embed) Normed() bool { return o.NormW != nil || o.NormB != nil }

// Operands visits the op's views.
func (o *Embed) Operands(visit func(string, View, Access)) {
	visit("Table", o.Table.All(), Read)
	if o.Normed() {
		visit("NormW", o.NormW.All(), Read)
		visit("NormB", o.NormB.All(), Read)
	}
	visit("Y", o.Y.All(), Write)
}

// Apply has b do the operation.
func (o *Embed) Apply(b Backend) error { return b.Embed(o) }

// LayerNorm gathers the rows whose logits are wanted and normalises them, with the population variance:
//
//	x = X[row of out i];  Y[i] = (x - mean(x)) / sqrt(var(x) + Eps) * NormW + NormB
type LayerNorm struct {
	X            *Operand // row [C]
	NormW, NormB *Operand // [C]
	Eps          float32
	Y            *Operand // out [C]
}

// Check verifies kinds and shapes.
func (o *LayerNorm) Check() error {
	c := checker{op: "LayerNorm"}
	c.operand("X", o.X, Row, 0)
	c.vector("NormW", o.NormW, width(o.X))
	c.vector("NormB", o.NormB, width(o.X))
	c.operand("Y", o.Y, Out, width(o.X))
	return c.err
}

// Operands visits the op's views.
func (o *LayerNorm) Operands(visit func(string, View, Access)) {
	visit("X", o.X.All(), Read)
	visit("NormW", o.NormW.All(), Read)
	visit("NormB", o.NormB.All(), Read)
	visit("Y", o.Y.All(), Write)
}

// Apply has b do the operation.
func (o *LayerNorm) Apply(b Backend) error { return b.LayerNorm(o) }

// ShiftMix normalises each row and interpolates it with the normalised row before it (token shift), once for each
// coefficient vector of Mix:
//
//	n[t] = layer_norm(X[t]; NormW, NormB, Eps)
//	p[t] = n[t-1], for a sequence's first row State[slot][StateOff:][:C]
//	Y[t][i] = n[t] + (p[t] - n[t]) * Mix[i]
//	Last[seq][StateOff:][:C] = n[t] of the sequence's last row
//
// The state itself is left as it is, since rows of one sequence run side by side: ShiftCommit moves Last into it.
type ShiftMix struct {
	X            *Operand // row [C]
	NormW, NormB *Operand // [C]
	Eps          float32
	Mix          []*Operand // n of [C]
	State        *Operand   // state, at least StateOff+C wide
	StateOff     int
	Last         *Operand // seq, as wide as State
	Y            *Operand // row [n*Stride(C)]
}

// Mixed returns the view of Y that holds the result for Mix[i].
func (o *ShiftMix) Mixed(i int) View { return o.Y.Slice(i*o.X.Stride(), o.X.Width) }

// Check verifies kinds and shapes.
func (o *ShiftMix) Check() error {
	c := checker{op: "ShiftMix"}
	c.operand("X", o.X, Row, 0)
	n := width(o.X)
	c.vector("NormW", o.NormW, n)
	c.vector("NormB", o.NormB, n)
	c.is(len(o.Mix) >= 1 && len(o.Mix) <= MaxMix, "Mix", "1 to 6 vectors", len(o.Mix))
	for _, m := range o.Mix {
		c.vector("Mix", m, n)
	}
	c.operand("State", o.State, State, 0)
	c.is(o.StateOff >= 0 && o.StateOff+n <= width(o.State), "StateOff", "a place inside State", o.StateOff)
	c.operand("Last", o.Last, Seq, width(o.State))
	c.operand("Y", o.Y, Row, len(o.Mix)*Stride(n))
	return c.err
}

// MaxMix is the largest number of coefficient vectors of a ShiftMix.
const MaxMix = 6

// Operands visits the op's views.
func (o *ShiftMix) Operands(visit func(string, View, Access)) {
	visit("X", o.X.All(), Read)
	visit("NormW", o.NormW.All(), Read)
	visit("NormB", o.NormB.All(), Read)
	for _, m := range o.Mix {
		visit("Mix", m.All(), Read)
	}
	visit("State", o.State.Slice(o.StateOff, o.X.Width), Read)
	visit("Last", o.Last.Slice(o.StateOff, o.X.Width), Write)
	for i := range o.Mix {
		visit("Y", o.Mixed(i), Write)
	}
}

// Apply has b do the operation.
func (o *ShiftMix) Apply(b Backend) error { return b.ShiftMix(o) }

// ShiftCommit ends a batch: it moves the vectors that the token shifts left in Last into the slots.
//
//	State[slot of seq] = Last[seq]
type ShiftCommit struct {
	Last  *Operand // seq
	State *Operand // state, as wide as Last
}

// Check verifies kinds and shapes.
func (o *ShiftCommit) Check() error {
	c := checker{op: "ShiftCommit"}
	c.operand("Last", o.Last, Seq, 0)
	c.operand("State", o.State, State, width(o.Last))
	return c.err
}

// Operands visits the op's views.
func (o *ShiftCommit) Operands(visit func(string, View, Access)) {
	visit("Last", o.Last.All(), Read)
	visit("State", o.State.All(), Write)
}

// Apply has b do the operation.
func (o *ShiftCommit) Apply(b Backend) error { return b.ShiftCommit(o) }
