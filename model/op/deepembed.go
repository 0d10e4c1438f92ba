package op

import "fmt"

// DeepEmbed multiplies each row with a small matrix of its token's own (BlinkDL, RWKV-LM, rwkv_v7a_demo.py):
//
//	Y[t][j] = sum over i of H[t][i] * Table[token[t]][i*D2 + j]
type DeepEmbed struct {
	H     *Operand // row [D1]
	Table *Operand // [vocab, D1*D2]
	Y     *Operand // row [D2]
}

// Check verifies kinds and shapes.
func (o *DeepEmbed) Check() error {
	c := checker{op: "DeepEmbed"}
	c.operand("H", o.H, Row, 0)
	c.operand("Y", o.Y, Row, 0)
	c.is(width(o.Y)%4 == 0, "Y", "a width that is a multiple of 4", fmt.Sprint(width(o.Y)))
	c.matrix("Table", o.Table, 0, width(o.H)*width(o.Y))
	return c.err
}

// Operands visits the op's views.
func (o *DeepEmbed) Operands(visit func(string, View, Access)) {
	visit("H", o.H.All(), Read)
	visit("Table", o.Table.All(), Read)
	visit("Y", o.Y.All(), Write)
}

// Apply has b do the operation.
func (o *DeepEmbed) Apply(b Backend) error { return b.DeepEmbed(o) }
