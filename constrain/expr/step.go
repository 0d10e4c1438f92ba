package expr

import "slices"

// Step returns what is left of e to match after a byte of class, a number of Classes.
func (p *Pool) Step(e ID, class uint8) ID {
	p.refine()
	if e <= Epsilon {
		return Empty
	}
	n := &p.nodes[e]
	if n.next == nil {
		n.next = slices.Repeat([]ID{unknown}, len(p.classes.example))
	}
	if d := n.next[class]; d != unknown {
		return d
	}
	row := n.next
	d := p.derive(e, p.classes.example[class])
	row[class] = d
	return d
}

// derive returns the derivative of e by b: what may follow b in the texts that e matches.
func (p *Pool) derive(e ID, b byte) ID {
	p.Spend(1)
	if p.err != nil || !p.nodes[e].first.Has(b) {
		return Empty
	}
	n := p.nodes[e] // a copy: nodes may move
	switch n.kind {
	case isSet:
		return Epsilon
	case isConcat:
		return p.deriveConcat(n, b)
	case isOr:
		return p.Or(p.deriveAll(n.list, b)...)
	case isAnd:
		return p.And(p.deriveAll(n.list, b)...)
	case isNot:
		return p.Not(p.inner(n.a, b))
	case isRepeat:
		d := p.inner(n.a, b)
		if d == Empty {
			return Empty
		}
		most := int(n.max)
		if most != Unbounded {
			most--
		}
		return p.concat(d, p.Repeat(n.a, max(int(n.min)-1, 0), most))
	case isMultiple:
		return p.deriveMultiple(*n.multiple, b)
	}
	return Empty
}

// deriveConcat goes along the sequence for as long as what stands there may be empty.
func (p *Pool) deriveConcat(n node, b byte) ID {
	var alternatives []ID
	for {
		if d := p.inner(n.a, b); d != Empty {
			alternatives = append(alternatives, p.concat(d, n.b))
		}
		if !p.nodes[n.a].nullable {
			break
		}
		if rest := p.nodes[n.b]; rest.kind == isConcat {
			n = rest
			continue
		}
		alternatives = append(alternatives, p.inner(n.b, b))
		break
	}
	return p.Or(alternatives...)
}

// inner is derive for a part of an expression. It keeps what it finds, as Step does, unless that is quick to find.
func (p *Pool) inner(e ID, b byte) ID {
	if n := &p.nodes[e]; n.kind == isSet || !n.first.Has(b) {
		return p.derive(e, b)
	}
	return p.Step(e, p.classes.of[b])
}

func (p *Pool) deriveAll(list []ID, b byte) []ID {
	out := make([]ID, len(list))
	for i, e := range list {
		out[i] = p.inner(e, b)
	}
	return out
}

// life is what is known of whether an expression matches anything.
type life uint8

const (
	untold life = iota
	alive
	dead
)

// Matches reports whether there is a text that e matches.
func (p *Pool) Matches(e ID) bool {
	n := &p.nodes[e]
	if n.positive || n.nullable {
		return e != Empty
	}
	if n.life == untold {
		known, found := true, false
		switch n.kind { // what its parts tell
		case isConcat:
			found = p.Matches(n.a) && p.Matches(p.nodes[e].b)
		case isOr:
			found = slices.ContainsFunc(n.list, p.Matches)
		case isRepeat:
			found = p.Matches(n.a) // at least once: else it would be nullable
		default:
			known = false
		}
		switch {
		case !known:
			p.explore(e)
		case found:
			p.nodes[e].life = alive
		case p.err == nil:
			p.nodes[e].life = dead
		}
	}
	return p.nodes[e].life == alive
}

// maxExplored bounds the expressions that are looked at to find out whether one matches anything.
const maxExplored = 1 << 14

// explore finds the shortest text that e matches. What lies on the way to it is alive; where there is none, all that was
// met is dead.
func (p *Pool) explore(start ID) {
	p.refine()
	from := map[ID]ID{start: unknown}
	queue := []ID{start}
	for i := 0; i < len(queue) && p.err == nil; i++ {
		if i >= maxExplored {
			p.err = ErrTooLarge
			return
		}
		e := queue[i]
		p.Spend(len(p.classes.example))
		for c := range p.classes.example {
			d := p.Step(e, uint8(c))
			if _, met := from[d]; met || d == Empty {
				continue
			}
			n := &p.nodes[d]
			if n.life == dead {
				continue
			}
			from[d] = e
			if n.nullable || n.positive || n.life == alive {
				for e := d; e != unknown; e = from[e] {
					p.nodes[e].life = alive
				}
				return
			}
			queue = append(queue, d)
		}
	}
	if p.err == nil {
		for _, e := range queue {
			p.nodes[e].life = dead
		}
	}
}

// Match reports whether e matches text.
func (p *Pool) Match(e ID, text string) bool {
	of, _ := p.Classes()
	for i := range len(text) {
		e = p.Step(e, of[text[i]])
		if e == Empty {
			return false
		}
	}
	return p.nodes[e].nullable
}
