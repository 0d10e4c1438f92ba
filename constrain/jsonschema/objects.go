package jsonschema

import "github.com/rwkv-gpu/rwkv-gpu/constrain/expr"

func (c *compiler) object(s *value) (*values, error) {
	o := newObject(s)
	var err error
	if o.min, err = count(s, "minProperties", 0); err != nil {
		return nil, err
	}
	if o.max, err = count(s, "maxProperties", -1); err != nil {
		return nil, err
	}
	if o.seen, err = c.members(s, o); err != nil {
		return nil, err
	}
	if v := s.fields["additionalProperties"]; v != nil {
		o.clauses = c.addClause(o.clauses, clause{c.otherNames(o.seen), c.goalOf(v)})
		o.seen = c.anyText
	}
	if v := s.fields["required"]; v != nil {
		list, err := names(v)
		if err != nil {
			return nil, err
		}
		for _, name := range list {
			o.set(name, field{required: true})
		}
	}
	if v := s.fields["propertyNames"]; v != nil {
		k, err := c.valuesOf(c.goalOf(v))
		if err != nil {
			return nil, err
		}
		o.clauses = c.addClause(o.clauses, clause{c.otherNames(k.text), nothing})
	}
	return c.typed(s, func(v *values) { v.objects = []*object{o} }), nil
}

// members reads the schemas of named members. It returns their names.
func (c *compiler) members(s *value, o *object) (expr.ID, error) {
	var seen []expr.ID
	if v := s.fields["properties"]; v != nil {
		if v.kind != isObject {
			return expr.Empty, &Error{Pointer: v.at, Want: "an object", Got: v.describe()}
		}
		for _, name := range v.keys {
			o.set(name, field{goal: c.goalOf(v.fields[name])})
			seen = append(seen, c.p.Literal(inside(name)))
		}
	}
	if v := s.fields["patternProperties"]; v != nil {
		if v.kind != isObject {
			return expr.Empty, &Error{Pointer: v.at, Want: "an object", Got: v.describe()}
		}
		for _, pattern := range v.keys {
			e, err := c.search(v.fields[pattern], pattern)
			if err != nil {
				return expr.Empty, err
			}
			o.clauses = c.addClause(o.clauses, clause{e, c.goalOf(v.fields[pattern])})
			seen = append(seen, e)
		}
	}
	return c.p.Or(seen...), nil
}

// otherNames matches every name that e does not.
func (c *compiler) otherNames(e expr.ID) expr.ID {
	if e == expr.Empty {
		return c.anyText
	}
	return c.without(c.anyText, e, c.anyText)
}

// addClause adds k to list, unless it says nothing.
func (c *compiler) addClause(list []clause, k clause) []clause {
	if k.goal.isTrue() || k.names == expr.Empty {
		return list
	}
	return append(list, k)
}

// names reads a list of names.
func names(v *value) ([]string, error) {
	if v.kind != isArray {
		return nil, &Error{Pointer: v.at, Want: "an array of names", Got: v.describe()}
	}
	out := make([]string, len(v.items))
	for i, item := range v.items {
		if item.kind != isString {
			return nil, &Error{Pointer: item.at, Want: "a name", Got: item.describe()}
		}
		out[i] = item.text
	}
	return out, nil
}

// fieldGoal returns all that is wanted of the member with a name.
func (c *compiler) fieldGoal(o *object, name string) goal {
	g := o.fields[name].goal
	for _, k := range o.clauses {
		if c.p.Match(k.names, inside(name)) {
			g = g.and(k.goal)
		}
	}
	return g
}

// dependent reads what is wanted of objects that have a certain member.
func (c *compiler) dependent(s *value) (*values, error) {
	out := c.all(s)
	for _, keyword := range []string{"dependentRequired", "dependentSchemas", "dependencies"} {
		v := s.fields[keyword]
		if v == nil {
			continue
		}
		if v.kind != isObject {
			return nil, &Error{Pointer: v.at, Want: "an object", Got: v.describe()}
		}
		for _, name := range v.keys {
			with, err := c.dependency(v.fields[name], name)
			if err == nil {
				out, err = c.and(out, with, v.fields[name])
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// dependency returns the values that have not the member name, and those that have it and match d, a list of further
// members or a schema.
func (c *compiler) dependency(d *value, name string) (*values, error) {
	without := c.typed(d, func(v *values) {
		o := newObject(d)
		o.set(name, field{goal: nothing})
		v.objects = []*object{o}
	})
	o := newObject(d)
	o.set(name, field{required: true})
	with := &values{objects: []*object{o}}
	if d.kind == isArray {
		list, err := names(d)
		if err != nil {
			return nil, err
		}
		for _, other := range list {
			o.set(other, field{required: true})
		}
		return c.or(without, with), nil
	}
	v, err := c.valuesOf(c.goalOf(d))
	if err == nil {
		with, err = c.and(with, v, d)
	}
	if err != nil {
		return nil, err
	}
	return c.or(without, with), nil
}
