package jsonschema

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// values is a set of JSON values: of each type, those that belong to it.
type values struct {
	null, yes, no bool
	number        expr.ID // in plain notation every spelling or none, or numbers.any
	shown         expr.ID // those spellings of number that may be written
	text          expr.ID // the insides of strings, written in the one way of regex.JSON
	arrays        []*array
	objects       []*object
}

// array is a set of arrays.
type array struct {
	prefix   []goal
	items    goal // of those behind prefix
	min, max int  // max is unlimited if negative
	contains []contains
	unique   *value // the keyword that wants all items to differ, or nil
	at       *value // a keyword to name in errors

	seen    int // items that keywords have looked at, for unevaluatedItems
	seenAll bool
}

// contains wants so many items that match a goal.
type contains struct {
	goal     goal
	min, max int
}

// object is a set of objects.
type object struct {
	names    []string // in the order in which they are written
	fields   map[string]field
	clauses  []clause // of all members
	some     []clause // of each: there is a member with such a name and value
	min, max int      // members; max is unlimited if negative
	at       *value   // a keyword to name in errors

	seen expr.ID // names that keywords have looked at, for unevaluatedProperties
}

type field struct {
	goal     goal
	required bool
}

// clause says what values members have whose names match an expression.
type clause struct {
	names expr.ID
	goal  goal
}

func (o *object) clone() *object {
	c := *o
	c.names = slices.Clone(o.names)
	c.fields = make(map[string]field, len(o.fields))
	for k, f := range o.fields {
		c.fields[k] = f
	}
	c.clauses, c.some = slices.Clone(o.clauses), slices.Clone(o.some)
	return &c
}

// set adds to what is said of a name.
func (o *object) set(name string, f field) {
	old, ok := o.fields[name]
	if !ok {
		o.names = append(o.names, name)
	}
	o.fields[name] = field{old.goal.and(f.goal), old.required || f.required}
}

func newObject(at *value) *object { return &object{fields: map[string]field{}, max: -1, at: at} }

func newArray(at *value) *array { return &array{max: -1, at: at} }

// all is every JSON value.
func (c *compiler) all(at *value) *values {
	return &values{
		null: true, yes: true, no: true, number: c.numbers.any, shown: c.numbers.any, text: c.anyText,
		arrays: []*array{newArray(at)}, objects: []*object{newObject(at)},
	}
}

func least(a, b int) int {
	if a < 0 || b >= 0 && b < a {
		return b
	}
	return a
}

// maxMeetings bounds how many pairs of arrays or objects are met to read a schema: each negation or alternative may multiply
// the cases that have to be told apart.
const maxMeetings = 1 << 18

func (c *compiler) and(a, b *values, at *value) (*values, error) {
	out := &values{
		null: a.null && b.null, yes: a.yes && b.yes, no: a.no && b.no,
		number: c.meet(a.number, b.number, c.numbers.any), shown: c.meet(a.shown, b.shown, c.numbers.any),
		text: c.meet(a.text, b.text, c.anyText),
	}
	c.meetings += 1 + len(a.arrays)*len(b.arrays) + len(a.objects)*len(b.objects)
	if c.meetings > maxMeetings {
		return nil, tooLarge(at.at, "more cases than can be told apart")
	}
	for _, x := range a.arrays {
		for _, y := range b.arrays {
			if z := c.andArrays(x, y); !c.emptyArray(z, emptyDepth) {
				out.arrays = append(out.arrays, z)
			}
		}
	}
	for _, x := range a.objects {
		for _, y := range b.objects {
			if z := c.andObjects(x, y); !c.emptyObject(z, emptyDepth) {
				out.objects = append(out.objects, z)
			}
		}
	}
	return out, c.p.Err()
}

// meet is the intersection of two expressions; any stands for no limit.
func (c *compiler) meet(a, b, any expr.ID) expr.ID {
	switch {
	case a == any || a == b:
		return b
	case b == any:
		return a
	}
	return c.clean(c.p.And(a, b))
}

// clean returns e, or Empty if it matches nothing.
func (c *compiler) clean(e expr.ID) expr.ID {
	if c.p.Matches(e) {
		return e
	}
	return expr.Empty
}

func (c *compiler) or(list ...*values) *values {
	out := &values{}
	var numbers, shown, texts []expr.ID
	for _, v := range list {
		out.null, out.yes, out.no = out.null || v.null, out.yes || v.yes, out.no || v.no
		numbers, shown, texts = append(numbers, v.number), append(shown, v.shown), append(texts, v.text)
		out.arrays = append(out.arrays, v.arrays...)
		out.objects = append(out.objects, v.objects...)
	}
	out.number, out.shown, out.text = c.join(numbers, c.numbers.any), c.join(shown, c.numbers.any), c.join(texts, c.anyText)
	return out
}

func (c *compiler) join(list []expr.ID, any expr.ID) expr.ID {
	if slices.Contains(list, any) {
		return any
	}
	return c.p.Or(list...)
}

func (c *compiler) andArrays(x, y *array) *array {
	z := *x
	z.prefix = nil
	for i := range max(len(x.prefix), len(y.prefix)) {
		z.prefix = append(z.prefix, x.item(i).and(y.item(i)))
	}
	z.items = x.items.and(y.items)
	z.min, z.max = max(x.min, y.min), least(x.max, y.max)
	z.contains = slices.Concat(x.contains, y.contains)
	if z.unique == nil {
		z.unique = y.unique
	}
	z.seen, z.seenAll = max(x.seen, y.seen), x.seenAll || y.seenAll
	return &z
}

// item returns the goal of an item.
func (x *array) item(i int) goal {
	if i < len(x.prefix) {
		return x.prefix[i]
	}
	return x.items
}

func (c *compiler) andObjects(x, y *object) *object {
	z := x.clone()
	for _, name := range y.names {
		z.set(name, y.fields[name])
	}
	z.clauses = append(z.clauses, y.clauses...)
	z.some = append(z.some, y.some...)
	z.min, z.max = max(x.min, y.min), least(x.max, y.max)
	z.seen = c.p.Or(x.seen, y.seen)
	return z
}
