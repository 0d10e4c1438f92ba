package jsonschema

import (
	"encoding/binary"
	"slices"
)

// goal is what a value has to match: all of some schemas, by their numbers, and none of others, which are negative. No number is
// no demand, and never matches nothing.
type goal struct {
	list []int32 // ascending, each once
}

// never is the schema false.
const never int32 = 1

var everything, nothing = goal{}, goal{[]int32{never}}

func (g goal) isTrue() bool  { return len(g.list) == 0 }
func (g goal) isFalse() bool { return slices.Contains(g.list, never) }

func (g goal) and(h goal) goal {
	if g.isTrue() {
		return h
	}
	if h.isTrue() {
		return g
	}
	list := slices.Concat(g.list, h.list)
	slices.Sort(list)
	list = slices.Compact(list)
	for _, n := range list {
		if _, both := slices.BinarySearch(list, -n); both || n == never {
			return nothing
		}
	}
	return goal{list}
}

// not returns goals of which a value matches one if it does not match g.
func (g goal) not() []goal {
	if g.isFalse() {
		return []goal{everything}
	}
	var out []goal
	for _, n := range g.list {
		out = append(out, goal{[]int32{-n}})
	}
	return out
}

func (g goal) key() string {
	var k []byte
	for _, n := range g.list {
		k = binary.LittleEndian.AppendUint32(k, uint32(n))
	}
	return string(k)
}

// goalOf returns the goal that schema s is. Schemas are numbered as they come.
func (c *compiler) goalOf(s *value) goal {
	switch s.kind {
	case isTrue:
		return everything
	case isFalse:
		return nothing
	}
	if n, ok := c.numberOf[s]; ok {
		return goal{[]int32{n}}
	}
	if s.kind == isObject && len(s.keys) == 0 {
		return everything
	}
	n := int32(len(c.schemas))
	c.schemas = append(c.schemas, s)
	c.numberOf[s] = n
	return goal{[]int32{n}}
}

// valuesOf returns the values that match g.
func (c *compiler) valuesOf(g goal) (*values, error) {
	if g.isFalse() {
		return &values{}, nil
	}
	k := g.key()
	if v, ok := c.known[k]; ok {
		return v, nil
	}
	if c.making[k] {
		at := c.schemas[max(g.list[0], -g.list[0])]
		return nil, &Error{Pointer: at.at, Want: "a schema that does not lead back to itself for the same value", Got: "one that does"}
	}
	c.making[k] = true
	defer delete(c.making, k)
	out := c.all(c.root)
	for i, n := range g.list {
		v, err := c.schemaValues(c.schemas[max(n, -n)])
		if err == nil && n < 0 {
			v, err = c.not(v, c.schemas[-n])
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out = v
			continue
		}
		if out, err = c.and(out, v, c.schemas[max(n, -n)]); err != nil {
			return nil, err
		}
	}
	c.known[k] = out
	return out, nil
}

// emptyDepth is how deep the search goes for what shows that a set is empty.
const emptyDepth = 4

// isEmpty reports whether it is plain to see that nothing matches g.
func (c *compiler) isEmpty(g goal, depth int) bool {
	if g.isFalse() {
		return true
	}
	if g.isTrue() || depth == 0 {
		return false
	}
	if c.making[g.key()] {
		return false
	}
	for _, n := range g.list {
		if c.open[c.schemas[max(n, -n)]] {
			return false // it is being made
		}
	}
	v, err := c.valuesOf(g)
	if err != nil {
		return false // whoever needs the values gets the error
	}
	return c.emptyValues(v, depth)
}

func (c *compiler) emptyValues(v *values, depth int) bool {
	if v.null || v.yes || v.no || c.p.Matches(v.number) || c.p.Matches(v.text) {
		return false
	}
	for _, a := range v.arrays {
		if !c.emptyArray(a, depth) {
			return false
		}
	}
	for _, o := range v.objects {
		if !c.emptyObject(o, depth) {
			return false
		}
	}
	return true
}

func (c *compiler) emptyArray(a *array, depth int) bool {
	if a.max >= 0 && a.min > a.max {
		return true
	}
	for i := range min(a.min, len(a.prefix)+1) {
		if c.isEmpty(a.item(i), depth-1) {
			return true
		}
	}
	return false
}

func (c *compiler) emptyObject(o *object, depth int) bool {
	required := 0
	for _, name := range o.names {
		if o.fields[name].required {
			required++
			if c.isEmpty(c.fieldGoal(o, name), depth-1) {
				return true
			}
		}
	}
	return o.max >= 0 && (required > o.max || o.min > o.max)
}
