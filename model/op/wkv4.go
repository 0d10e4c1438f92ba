package op

// WKV4 is RWKV-4's recurrence (BlinkDL, ChatRWKV, model.py) for each channel by itself. Numerator aa and denominator bb
// of a weighted mean of values are kept as multiples of exp(pp), where pp is the largest exponent so far, so that no
// key overflows. For each row in the order of its sequence:
//
//	q  = max(pp, U + k)
//	Y  = r * (exp(pp-q)*aa + exp(U+k-q)*v) / (exp(pp-q)*bb + exp(U+k-q))
//	q' = max(pp + W, k)
//	aa = exp(pp+W-q')*aa + exp(k-q')*v;  bb = exp(pp+W-q')*bb + exp(k-q');  pp = q'
type WKV4 struct {
	R, K, V    *Operand // row [C]; R is the receptance after its sigmoid
	W, U       *Operand // [C]: the decay's exponent, which is negative, and the bonus of the current token
	AA, BB, PP *Operand // state [C]; PP of a fresh slot is MinExponent
	Y          *Operand // row [C]
}

// MinExponent is the pp of a WKV4 that has seen nothing.
const MinExponent = -1e30

// Check verifies kinds and shapes.
func (o *WKV4) Check() error {
	c := checker{op: "WKV4"}
	n := width(o.Y)
	for _, f := range o.rows() {
		c.operand(f.name, f.o, Row, n)
	}
	c.vector("W", o.W, n)
	c.vector("U", o.U, n)
	for _, f := range o.states() {
		c.operand(f.name, f.o, State, n)
	}
	c.operand("Y", o.Y, Row, 0)
	return c.err
}

func (o *WKV4) rows() []namedOperand { return []namedOperand{{"R", o.R}, {"K", o.K}, {"V", o.V}} }

func (o *WKV4) states() []namedOperand {
	return []namedOperand{{"AA", o.AA}, {"BB", o.BB}, {"PP", o.PP}}
}

// Operands visits the op's views.
func (o *WKV4) Operands(visit func(string, View, Access)) {
	for _, f := range o.rows() {
		visit(f.name, f.o.All(), Read)
	}
	visit("W", o.W.All(), Read)
	visit("U", o.U.All(), Read)
	for _, f := range o.states() {
		visit(f.name, f.o.All(), Update)
	}
	visit("Y", o.Y.All(), Write)
}

// Apply has b do the operation.
func (o *WKV4) Apply(b Backend) error { return b.WKV4(o) }
