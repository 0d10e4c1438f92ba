package op

// SparseInputs returns the products of a single part whose input holds many zeros, which weights need not be read for:
// what a ReLU2 left, as it is or multiplied. Nothing but the values tells how many zeros there are.
func (p *Program) SparseInputs() map[*MatMul]bool {
	found := map[*MatMul]bool{}
	sparse := map[*Operand]bool{}
	for _, s := range p.Steps {
		o, product := s.Op.(*MatMul)
		if product && len(o.Parts) == 1 && sparse[o.Parts[0].X.Of] {
			found[o] = true
		}
		var written []*Operand
		s.Op.Operands(func(_ string, v View, a Access) {
			if a&Write != 0 {
				written = append(written, v.Of)
			}
		})
		keeps := map[*Operand]bool{}
		if product {
			for i := range o.Parts {
				keeps[o.Parts[i].Y.Of] = o.Parts[i].leavesZeros(sparse)
			}
		}
		for _, w := range written {
			sparse[w] = keeps[w]
		}
	}
	return found
}

// leavesZeros reports whether all of the part's result has many zeros, given which operands have.
func (p *Part) leavesZeros(sparse map[*Operand]bool) bool {
	if p.Y != p.Y.Of.All() {
		return false
	}
	switch p.Combine {
	case Set:
		return p.Act == ReLU2
	case Mul:
		return p.Act == ReLU2 || sparse[p.From.Of]
	}
	return false
}
