package expr

// Import returns what e is in from, as an expression of p. memo keeps what has been imported from the same pool.
func (p *Pool) Import(from *Pool, e ID, memo map[ID]ID) ID {
	if e <= Epsilon {
		return e
	}
	if id, ok := memo[e]; ok {
		return id
	}
	n := from.nodes[e]
	var id ID
	switch n.kind {
	case isSet:
		id = p.Bytes(from.sets[n.min])
	case isConcat:
		id = p.concat(p.Import(from, n.a, memo), p.Import(from, n.b, memo))
	case isOr:
		id = p.Or(p.importAll(from, n.list, memo)...)
	case isAnd:
		id = p.And(p.importAll(from, n.list, memo)...)
	case isNot:
		id = p.Not(p.Import(from, n.a, memo))
	case isRepeat:
		id = p.Repeat(p.Import(from, n.a, memo), int(n.min), int(n.max))
	case isMultiple:
		p.Multiple(n.multiple.of, int(n.multiple.places)) // for the classes of digits
		id = p.multiple(*n.multiple)
	}
	if from.chars[e] {
		p.Character(id)
	}
	memo[e] = id
	return id
}

func (p *Pool) importAll(from *Pool, list []ID, memo map[ID]ID) []ID {
	out := make([]ID, len(list))
	for i, e := range list {
		out[i] = p.Import(from, e, memo)
	}
	return out
}

// Absorbs reports, as far as the form of e shows it, whether e can still match something after any n characters or
// fewer that char matches.
func (p *Pool) Absorbs(e, char ID, n int) bool {
	switch x := p.nodes[e]; x.kind {
	case isConcat:
		return p.Matches(x.b) && p.Absorbs(x.a, char, n)
	case isOr:
		for _, e := range x.list {
			if p.Absorbs(e, char, n) {
				return true
			}
		}
	case isAnd:
		return p.absorbsAll(x.list, char, n)
	case isNot:
		return x.a == Empty
	case isRepeat:
		return (x.max == Unbounded || int(x.max) >= n) && p.Matches(x.a) && !p.Matches(p.And(char, p.Not(x.a)))
	}
	return false
}

// absorbsAll is Absorbs of an intersection: of one expression that goes on without end, and complements of finite ones, which
// take finitely many texts away.
func (p *Pool) absorbsAll(list []ID, char ID, n int) bool {
	endless := 0
	for _, e := range list {
		switch x := &p.nodes[e]; {
		case x.kind == isNot && p.nodes[x.a].finite:
		case x.kind == isRepeat && x.max == Unbounded && p.Absorbs(e, char, n):
			endless++
		default:
			return false
		}
	}
	return endless == 1
}
