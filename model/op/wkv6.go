package op

// WKV6 is the recurrence of RWKV-5 and RWKV-6 (BlinkDL, ChatRWKV, model.py) for Heads heads of N elements, with the
// norm and gate that follow it. For each row in the order of its sequence, and each head with state S[key][value]:
//
//	o = sum over keys of r * (U*k v^T + S)       (S before the update)
//	S = k v^T + diag(w) S
//	Y = group_norm(o; NormW, NormB, Eps) * g     (over the head)
type WKV6 struct {
	R, K, V      *Operand // row [Heads*N]
	W            *Operand // row [Heads*N], or a weight of that size: the decay itself
	U            *Operand // [Heads*N]
	G            *Operand // row [Heads*N]; nil for no gate
	NormW, NormB *Operand // [Heads*N]
	Eps          float32
	Heads, N     int
	State        *Operand // state [Heads, N key, N value]
	Y            *Operand // row [Heads*N]
}

// Check verifies kinds and shapes.
func (o *WKV6) Check() error {
	c := checker{op: "WKV6"}
	n := o.Heads * o.N
	c.is(o.N > 0 && o.N%4 == 0, "N", "a positive multiple of 4", o.N)
	c.is(o.Heads > 0, "Heads", "a positive number", o.Heads)
	for _, f := range o.rows() {
		c.operand(f.name, f.o, Row, n)
	}
	if o.W != nil && o.W.Kind == Weight {
		c.vector("W", o.W, n)
	} else {
		c.operand("W", o.W, Row, n)
	}
	for _, f := range o.params() {
		c.vector(f.name, f.o, n)
	}
	c.operand("State", o.State, State, n*o.N)
	c.operand("Y", o.Y, Row, n)
	return c.err
}

func (o *WKV6) rows() []namedOperand {
	list := []namedOperand{{"R", o.R}, {"K", o.K}, {"V", o.V}}
	if o.G != nil {
		list = append(list, namedOperand{"G", o.G})
	}
	return list
}

func (o *WKV6) params() []namedOperand {
	return []namedOperand{{"U", o.U}, {"NormW", o.NormW}, {"NormB", o.NormB}}
}

// Operands visits the op's views.
func (o *WKV6) Operands(visit func(string, View, Access)) {
	for _, f := range o.rows() {
		visit(f.name, f.o.All(), Read)
	}
	visit("W", o.W.All(), Read)
	for _, f := range o.params() {
		visit(f.name, f.o.All(), Read)
	}
	visit("State", o.State.All(), Update)
	visit("Y", o.Y.All(), Write)
}

// HeadCount returns the number of heads.
func (o *WKV6) HeadCount() int { return o.Heads }

// Apply has b do the operation.
func (o *WKV6) Apply(b Backend) error { return b.WKV6(o) }
