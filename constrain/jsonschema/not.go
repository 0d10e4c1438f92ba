package jsonschema

import "github.com/rwkv-gpu/rwkv-gpu/constrain/expr"

// not returns every JSON value that v has not. at is the schema that v is of.
func (c *compiler) not(v *values, at *value) (*values, error) {
	out := c.all(at)
	out.null, out.yes, out.no = !v.null, !v.yes, !v.no
	out.number = c.without(c.numbers.plain, v.number, c.numbers.any)
	out.shown = out.number
	if v.number == expr.Empty {
		out.number, out.shown = c.numbers.any, c.numbers.any
	}
	out.text = c.otherNames(v.text)
	// What is in none of several sets is in the complement of each.
	for _, a := range v.arrays {
		list, err := c.notArray(a, at)
		if err != nil {
			return nil, err
		}
		if out, err = c.and(out, c.typed(at, func(v *values) { v.arrays = list }), at); err != nil {
			return nil, err
		}
	}
	for _, o := range v.objects {
		list, err := c.notObject(o, at)
		if err != nil {
			return nil, err
		}
		if out, err = c.and(out, c.typed(at, func(v *values) { v.objects = list }), at); err != nil {
			return nil, err
		}
	}
	return out, c.p.Err()
}

// without is what is in base and not in e; any stands for no limit.
func (c *compiler) without(base, e, any expr.ID) expr.ID {
	if e == any {
		return expr.Empty
	}
	return c.clean(c.p.And(base, c.p.Not(e)))
}

// notArray returns sets of arrays that together are all those that a has not.
func (c *compiler) notArray(a *array, at *value) ([]*array, error) {
	var out []*array
	if a.min > 0 {
		out = append(out, &array{max: a.min - 1, at: at})
	}
	if a.max >= 0 {
		out = append(out, &array{min: a.max + 1, max: -1, at: at})
	}
	for i, g := range a.prefix {
		for _, not := range g.not() {
			x := &array{min: i + 1, max: -1, at: at, prefix: make([]goal, i+1)}
			x.prefix[i] = not
			out = append(out, x)
		}
	}
	switch {
	case a.items.isTrue():
	case a.items.isFalse():
		out = append(out, &array{min: len(a.prefix) + 1, max: -1, at: at})
	case len(a.prefix) > 0:
		return nil, unsupported(at, "it is negated, and says what items behind others are")
	default:
		for _, not := range a.items.not() {
			out = append(out, &array{max: -1, at: at, contains: []contains{{not, 1, -1}}})
		}
	}
	for _, k := range a.contains {
		if k.min > 0 {
			out = append(out, &array{max: -1, at: at, contains: []contains{{k.goal, 0, k.min - 1}}})
		}
		if k.max >= 0 {
			out = append(out, &array{max: -1, at: at, contains: []contains{{k.goal, k.max + 1, -1}}})
		}
	}
	if a.unique != nil {
		return nil, unsupported(a.unique, "it is negated")
	}
	return out, nil
}

// notObject returns sets of objects that together are all those that o has not.
func (c *compiler) notObject(o *object, at *value) ([]*object, error) {
	var out []*object
	if o.min > 0 {
		x := newObject(at)
		x.max = o.min - 1
		out = append(out, x)
	}
	if o.max >= 0 {
		x := newObject(at)
		x.min = o.max + 1
		out = append(out, x)
	}
	for _, name := range o.names {
		f := o.fields[name]
		if f.required {
			x := newObject(at)
			x.set(name, field{goal: nothing})
			out = append(out, x)
		}
		for _, not := range f.goal.not() {
			x := newObject(at)
			x.set(name, field{not, true})
			out = append(out, x)
		}
	}
	for _, k := range o.clauses {
		for _, not := range k.goal.not() {
			x := newObject(at)
			x.some = []clause{{k.names, not}}
			out = append(out, x)
		}
	}
	for _, k := range o.some { // there is none
		not := k.goal.not()
		if len(not) > 1 {
			return nil, unsupported(at, "it is negated twice")
		}
		x := newObject(at)
		x.clauses = []clause{{k.names, append(not, nothing)[0]}}
		out = append(out, x)
	}
	return out, nil
}
