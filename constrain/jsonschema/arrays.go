package jsonschema

func (c *compiler) array(s *value) (*values, error) {
	a := newArray(s)
	var err error
	if a.min, err = count(s, "minItems", 0); err != nil {
		return nil, err
	}
	if a.max, err = count(s, "maxItems", -1); err != nil {
		return nil, err
	}
	if err := c.itemGoals(s, a); err != nil {
		return nil, err
	}
	if v := s.fields["contains"]; v != nil {
		k := contains{goal: c.goalOf(v)}
		if k.min, err = count(s, "minContains", 1); err != nil {
			return nil, err
		}
		if k.max, err = count(s, "maxContains", -1); err != nil {
			return nil, err
		}
		if k.min > 0 || k.max >= 0 {
			a.contains = []contains{k}
		}
		if c.cases && !a.seenAll && !c.refs.old {
			return nil, unsupported(v, "unevaluatedItems depends on it")
		}
	}
	if v := s.fields["uniqueItems"]; v != nil && v.kind == isTrue {
		a.unique = v
	}
	return c.typed(s, func(v *values) { v.arrays = []*array{a} }), nil
}

// itemGoals reads what items have to match, in the words of either draft.
func (c *compiler) itemGoals(s *value, a *array) error {
	first, rest := s.fields["prefixItems"], s.fields["items"]
	if rest != nil && rest.kind == isArray {
		if first != nil {
			return unsupported(rest, "it is a list beside prefixItems")
		}
		first, rest = rest, s.fields["additionalItems"]
	}
	if first != nil {
		if first.kind != isArray {
			return &Error{Pointer: first.at, Want: "an array of schemas", Got: first.describe()}
		}
		for _, item := range first.items {
			a.prefix = append(a.prefix, c.goalOf(item))
		}
		a.seen = len(first.items)
	}
	if rest != nil {
		a.items = c.goalOf(rest)
		a.seenAll = true
	}
	return nil
}

// unevaluated reads the keywords that depend on what all the others of a schema have looked at.
func (c *compiler) unevaluated(s *value, v *values) (*values, error) {
	names, items := s.fields["unevaluatedProperties"], s.fields["unevaluatedItems"]
	if names == nil && items == nil {
		return v, nil
	}
	out := *v
	if names != nil {
		out.objects = nil
		for _, o := range v.objects {
			o = o.clone()
			o.clauses = c.addClause(o.clauses, clause{c.otherNames(o.seen), c.goalOf(names)})
			o.seen = c.anyText
			out.objects = append(out.objects, o)
		}
	}
	if items != nil {
		out.arrays = nil
		for _, a := range v.arrays {
			if !a.seenAll {
				tail := newArray(items)
				tail.prefix = make([]goal, a.seen)
				tail.items = c.goalOf(items)
				a = c.andArrays(a, tail)
				a.seenAll = true
			}
			out.arrays = append(out.arrays, a)
		}
	}
	return &out, nil
}
