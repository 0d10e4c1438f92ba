package jsonschema

import "slices"

// list returns the schemas of a keyword.
func list(v *value) ([]*value, error) {
	if v.kind != isArray || len(v.items) == 0 {
		return nil, &Error{Pointer: v.at, Want: "an array of at least one schema", Got: v.describe()}
	}
	return v.items, nil
}

func (c *compiler) reference(s *value) (*values, error) {
	to, err := c.refs.resolve(s, s.fields["$ref"])
	if err != nil {
		return nil, err
	}
	return c.valuesOf(c.goalOf(to))
}

// eachOf returns the values of each schema of a keyword.
func (c *compiler) eachOf(v *value) ([]*values, error) {
	schemas, err := list(v)
	if err != nil {
		return nil, err
	}
	out := make([]*values, len(schemas))
	for i, s := range schemas {
		if out[i], err = c.valuesOf(c.goalOf(s)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *compiler) allOf(s *value) (*values, error) {
	parts, err := c.eachOf(s.fields["allOf"])
	if err != nil {
		return nil, err
	}
	out := c.all(s)
	for _, v := range parts {
		if out, err = c.and(out, v, s.fields["allOf"]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxCases bounds the schemas of an anyOf of which every selection is a case of its own.
const maxCases = 6

func (c *compiler) anyOf(s *value) (*values, error) {
	v := s.fields["anyOf"]
	parts, err := c.eachOf(v)
	if err != nil {
		return nil, err
	}
	if !c.cases {
		return c.or(parts...), nil
	}
	// What several match has been looked at by all of these.
	if len(parts) > maxCases {
		return nil, tooLarge(v.at, "more schemas than unevaluated members can be told of")
	}
	var cases []*values
	for chosen := 1; chosen < 1<<len(parts); chosen++ {
		out := c.all(v)
		for i, part := range parts {
			if chosen>>i&1 == 0 {
				continue
			}
			if out, err = c.and(out, part, v); err != nil {
				return nil, err
			}
		}
		cases = append(cases, out)
	}
	return c.or(cases...), nil
}

// oneOf returns the values that match one schema and none of the others. Those that cannot match both are not held against
// each other.
func (c *compiler) oneOf(s *value) (*values, error) {
	at := s.fields["oneOf"]
	parts, err := c.eachOf(at)
	if err != nil {
		return nil, err
	}
	cases := slices.Clone(parts)
	for i := range parts {
		for j := range i {
			both, err := c.and(parts[i], parts[j], at)
			if err != nil {
				return nil, err
			}
			if c.emptyValues(both, emptyDepth) {
				continue
			}
			for _, pair := range [][2]int{{i, j}, {j, i}} {
				not, err := c.not(parts[pair[1]], at.items[pair[1]])
				if err == nil {
					cases[pair[0]], err = c.and(cases[pair[0]], not, at)
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return c.or(cases...), nil
}

func (c *compiler) negated(s *value) (*values, error) {
	at := s.fields["not"]
	v, err := c.valuesOf(c.goalOf(at))
	if err != nil {
		return nil, err
	}
	return c.not(v, at)
}

func (c *compiler) conditional(s *value) (*values, error) {
	at := s.fields["if"]
	yes, err := c.valuesOf(c.goalOf(at))
	if err != nil {
		return nil, err
	}
	if s.fields["then"] == nil && s.fields["else"] == nil && !c.cases {
		return c.all(s), nil
	}
	no, err := c.not(yes, at)
	if err != nil {
		return nil, err
	}
	for _, branch := range []struct {
		keyword string
		v       **values
	}{{"then", &yes}, {"else", &no}} {
		schema := s.fields[branch.keyword]
		if schema == nil {
			continue
		}
		v, err := c.valuesOf(c.goalOf(schema))
		if err == nil {
			*branch.v, err = c.and(*branch.v, v, schema)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.or(yes, no), nil
}
