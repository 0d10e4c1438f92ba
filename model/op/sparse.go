package op

// SparseInputs returns the products of a single part whose input has many zeros: the result of a ReLU2, perhaps
// multiplied. A kernel need not read the weights that meet zeros. Only the values say how many zeros there are.
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

// leavesZeros reports whether the whole result of the part has many zeros. sparse has the operands with many zeros.
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
