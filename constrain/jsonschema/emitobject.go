package jsonschema

import (
	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
)

// member is a member that an object may have.
type member struct {
	name     grammar.Symbol // with its colon
	goal     goal
	required bool
}

// others are members of other names, all with the same goal.
type others struct {
	names expr.ID
	goal  goal
	some  bool // reports whether it is the one of which there has to be one
}

// maxClauses bounds the clauses on other names: each selection of them may be a case of its own.
const maxClauses = 6

// emitObject adds the productions of o to s: the named members in their order, then others.
func (c *compiler) emitObject(s grammar.Symbol, o *object) error {
	if len(o.some) > 0 {
		return c.emitSome(s, o)
	}
	return c.emitMembers(s, o, clause{}, false)
}

// emitSome adds the ways in which there is a member as o.some wants it: one of the named, or another one.
func (c *compiler) emitSome(s grammar.Symbol, o *object) error {
	want := o.some[0]
	rest := o.clone()
	rest.some = o.some[1:]
	for _, name := range o.names {
		if !c.p.Match(want.names, inside(name)) {
			continue
		}
		if rest.fields[name].required && want.goal.isTrue() {
			return c.emitObject(s, rest) // it is there in any case
		}
		named := rest.clone()
		named.set(name, field{want.goal, true})
		if err := c.emitObject(s, named); err != nil {
			return err
		}
	}
	if len(rest.some) > 0 {
		return unsupported(o.at, "several members of some name are wanted, as where a schema is negated")
	}
	return c.emitMembers(s, rest, want, true)
}

// otherMembers returns what members may be whose names are not those of o, by the clauses that hold for them.
func (c *compiler) otherMembers(o *object, want clause, some bool) ([]others, error) {
	if len(o.clauses) > maxClauses {
		return nil, tooLarge(o.at.at, "more patterns of names than can be told apart")
	}
	names := make([]expr.ID, len(o.names))
	for i, name := range o.names {
		names[i] = c.p.Literal(inside(name))
	}
	out := []others{{c.otherNames(c.p.Or(names...)), everything, false}}
	split := func(k clause, some bool) {
		var next []others
		for _, x := range out {
			if x.names == k.names && !some {
				next = append(next, others{x.names, x.goal.and(k.goal), false})
				continue
			}
			if in := c.clean(c.p.And(x.names, k.names)); in != expr.Empty {
				if some {
					next = append(next, others{in, x.goal.and(k.goal), true}, x)
					continue
				}
				next = append(next, others{in, x.goal.and(k.goal), false})
			} else if some {
				next = append(next, x)
				continue
			}
			if rest := c.clean(c.p.And(x.names, c.p.Not(k.names))); rest != expr.Empty {
				next = append(next, others{rest, x.goal, false})
			}
		}
		out = next
	}
	for _, k := range o.clauses {
		split(k, false)
	}
	if some {
		split(want, true)
	}
	var kept []others
	for _, x := range out {
		if !x.goal.isFalse() {
			kept = append(kept, x)
		}
	}
	return kept, nil
}

// emitMembers adds objects. A list of members is in a state by how many of the named ones are behind it, how many members there
// are, as far as that matters, and whether the member has come that want asks for, if some.
func (c *compiler) emitMembers(s grammar.Symbol, o *object, want clause, some bool) error {
	other, err := c.otherMembers(o, want, some)
	if err != nil {
		return err
	}
	p, quote := c.p, c.p.Literal(`"`)
	var members []member
	required := 0
	for _, name := range o.names {
		g := c.fieldGoal(o, name)
		if g.isFalse() && o.fields[name].required {
			return nil // there is no such object
		}
		if !g.isFalse() {
			key := c.b.Terminal(p.Concat(quote, p.Literal(inside(name)), quote, c.signs.colon))
			members = append(members, member{key, g, o.fields[name].required})
		}
		if o.fields[name].required {
			required++
		}
	}
	if len(other) > 0 && o.min-required > 1 {
		at := o.at
		if v := at.fields["minProperties"]; v != nil {
			at = v
		}
		return unsupported(at, "more than one member of any name is wanted, and they could have the same")
	}
	e := &objectEmitter{c: c, q: c.newSequence(), members: members, max: o.max, stop: max(o.min, 1)}
	if o.max >= 0 {
		e.stop = o.max
	}
	e.named()
	if err := c.b.Err(); err != nil {
		return tooLarge(o.at.at, err.Error())
	}
	e.others(other, some)
	if o.min == 0 && required == 0 && !some {
		c.b.Add(s, c.signs.emptyObject)
	}
	done := 0
	if some {
		done = 1
	}
	for n := max(o.min, 1); n <= e.stop; n++ {
		c.b.Add(s, c.signs.openObject, e.q.at(len(members)+1, n, done), c.signs.closeObject)
	}
	return nil
}

// objectEmitter makes the lists of members of an object. Its states are (named members passed, members, whether a wanted other
// one has come); where members are not limited, their number stops at stop.
type objectEmitter struct {
	c         *compiler
	q         *sequence
	members   []member
	max, stop int
}

// grow calls add with each number of members and the one behind it.
func (e *objectEmitter) grow(least int, add func(from, to int)) {
	for from := least; from < e.stop; from++ {
		add(from, from+1)
	}
	if e.max < 0 && e.stop >= least {
		add(e.stop, e.stop)
	}
}

func (e *objectEmitter) named() {
	optional := true // reports whether none of those before has to be there
	for i, m := range e.members {
		value := e.c.symbol(m.goal)
		e.grow(1, func(from, to int) {
			if i > 0 {
				e.q.add([]int{i, from, 0}, []int{i + 1, to, 0}, false, m.name, value)
			}
		})
		if optional && e.stop >= 1 {
			e.q.add(nil, []int{i + 1, 1, 0}, true, m.name, value)
		}
		if m.required {
			optional = false
			continue
		}
		for n := 1; n <= e.stop && i > 0; n++ {
			e.c.b.Add(e.q.at(i+1, n, 0), e.q.at(i, n, 0))
		}
	}
}

// others adds members of other names behind the named ones.
func (e *objectEmitter) others(list []others, some bool) {
	p, quote, all := e.c.p, e.c.p.Literal(`"`), len(e.members)
	optional := true
	for _, m := range e.members {
		optional = optional && !m.required
	}
	for n := 1; n <= e.stop && all > 0; n++ {
		e.c.b.Add(e.q.at(all+1, n, 0), e.q.at(all, n, 0))
	}
	for _, x := range list {
		name := e.c.b.Terminal(p.Concat(quote, x.names, quote, e.c.signs.colon))
		value := e.c.symbol(x.goal)
		for done := range 2 {
			to := done
			if x.some {
				to = 1
			}
			e.grow(1, func(from, n int) {
				e.q.add([]int{all + 1, from, done}, []int{all + 1, n, to}, false, name, value)
			})
			if !some {
				break
			}
		}
		if first := 0; optional && e.stop >= 1 {
			if x.some {
				first = 1
			}
			e.q.add(nil, []int{all + 1, 1, first}, true, name, value)
		}
	}
}
