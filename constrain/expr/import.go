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
	case isNot:
		return x.a == Empty
	case isRepeat:
		return (x.max == Unbounded || int(x.max) >= n) && p.Matches(x.a) && !p.Matches(p.And(char, p.Not(x.a)))
	}
	return false
}
