package op

// WKV7 is RWKV-7's recurrence (BlinkDL, RWKV-LM, rwkv_v7_numpy.py) for Heads heads of N elements, with the norms, bonus
// and gate around it in each head. For each row in the order of its sequence, and each head with state S[value][key]:
//
//	kk = k*KK / max(norm(k*KK), 1e-12)           (k as it comes from the projection)
//	k' = k * (1 + (a-1)*KA)
//	S  = S*diag(w) - (S kk) (kk*a)^T + v k'^T
//	o  = group_norm(S r; NormW, NormB, Eps)      (over the head, S after the update)
//	Y  = (o + (sum(r * k' * RK)) * v) * g
type WKV7 struct {
	R, W, K, V, A, G *Operand // row [Heads*N]; W is the decay itself, A the in-context rate after its sigmoid
	KK, KA, RK       *Operand // [Heads*N]
	NormW, NormB     *Operand // [Heads*N]
	Eps              float32
	Heads, N         int
	State            *Operand // state [Heads, N value, N key]
	Y                *Operand // row [Heads*N]
}

// MinNorm is the smallest norm that WKV7 divides by.
const MinNorm = 1e-12

// Check verifies kinds and shapes.
func (o *WKV7) Check() error {
	c := checker{op: "WKV7"}
	n := o.Heads * o.N
	c.is(o.N > 0 && o.N%4 == 0, "N", "a positive multiple of 4", o.N)
	c.is(o.Heads > 0, "Heads", "a positive number", o.Heads)
	for _, f := range o.rows() {
		c.operand(f.name, f.o, Row, n)
	}
	for _, f := range o.params() {
		c.vector(f.name, f.o, n)
	}
	c.operand("State", o.State, State, n*o.N)
	c.operand("Y", o.Y, Row, n)
	return c.err
}

type namedOperand struct {
	name string
	o    *Operand
}

func (o *WKV7) rows() []namedOperand {
	return []namedOperand{{"R", o.R}, {"W", o.W}, {"K", o.K}, {"V", o.V}, {"A", o.A}, {"G", o.G}}
}

func (o *WKV7) params() []namedOperand {
	return []namedOperand{{"KK", o.KK}, {"KA", o.KA}, {"RK", o.RK}, {"NormW", o.NormW}, {"NormB", o.NormB}}
}

// Operands visits the op's views.
func (o *WKV7) Operands(visit func(string, View, Access)) {
	for _, f := range o.rows() {
		visit(f.name, f.o.All(), Read)
	}
	for _, f := range o.params() {
		visit(f.name, f.o.All(), Read)
	}
	visit("State", o.State.All(), Update)
	visit("Y", o.Y.All(), Write)
}

// HeadCount returns the number of heads.
func (o *WKV7) HeadCount() int { return o.Heads }

// Apply has b do the operation.
func (o *WKV7) Apply(b Backend) error { return b.WKV7(o) }
