package jsonschema

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

func (c *compiler) enum(s *value) (*values, error) {
	list := []*value{s.fields["const"]}
	if e := s.fields["enum"]; e != nil {
		if e.kind != isArray {
			return nil, &Error{Pointer: e.at, Want: "an array", Got: e.describe()}
		}
		list = e.items
		if k := s.fields["const"]; k != nil {
			var err error
			if list, err = among(k, list); err != nil {
				return nil, err
			}
		}
	}
	parts := make([]*values, len(list))
	for i, v := range list {
		var err error
		if parts[i], err = c.literal(v); err != nil {
			return nil, err
		}
	}
	return c.or(parts...), nil
}

// among returns k alone if a value of list equals it.
func among(k *value, list []*value) ([]*value, error) {
	want, err := k.canonical()
	if err != nil {
		return nil, err
	}
	found := slices.ContainsFunc(list, func(v *value) bool {
		got, e := v.canonical()
		return e == nil && got == want
	})
	if !found {
		return nil, nil
	}
	return []*value{k}, nil
}

// literal returns v alone.
func (c *compiler) literal(v *value) (*values, error) {
	out := &values{}
	switch v.kind {
	case isNull:
		out.null = true
	case isTrue:
		out.yes = true
	case isFalse:
		out.no = true
	case isString:
		out.text = c.p.Literal(inside(v.text))
	case isNumber:
		d, err := v.decimal()
		if err != nil {
			return nil, err
		}
		out.number, out.shown = c.numbers.value(d), c.p.Literal(d.String())
	case isArray:
		a := &array{min: len(v.items), max: len(v.items), items: nothing, at: v}
		for _, item := range v.items {
			a.prefix = append(a.prefix, c.literalGoal(item))
		}
		out.arrays = []*array{a}
	case isObject:
		o := newObject(v)
		names := make([]expr.ID, 0, len(v.keys))
		for _, k := range v.keys {
			o.set(k, field{c.literalGoal(v.fields[k]), true})
			names = append(names, c.p.Literal(inside(k)))
		}
		o.clauses = []clause{{c.p.And(c.anyText, c.p.Not(c.p.Or(names...))), nothing}}
		out.objects = []*object{o}
	}
	return out, nil
}

// literalGoal returns the goal of a schema that has v alone, written like one of the document.
func (c *compiler) literalGoal(v *value) goal {
	if g, ok := c.literals[v]; ok {
		return g
	}
	s := &value{kind: isObject, keys: []string{"const"}, fields: map[string]*value{"const": v}, at: v.at}
	g := c.goalOf(s)
	c.literals[v] = g
	return g
}
