package jsonschema

import (
	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/regex"
)

// inside returns text as it stands between the quotation marks of a JSON string.
func inside(text string) string {
	q := regex.Quote(text)
	return q[1 : len(q)-1]
}

func (c *compiler) strings(s *value) (*values, error) {
	e := c.anyText
	least, err := count(s, "minLength", 0)
	if err != nil {
		return nil, err
	}
	most, err := count(s, "maxLength", expr.Unbounded)
	if err != nil {
		return nil, err
	}
	switch {
	case most >= 0 && least > most:
		e = expr.Empty
	case least > 0 || most >= 0:
		e = c.p.Repeat(c.char, least, most)
	}
	if v := s.fields["pattern"]; v != nil {
		m, err := c.pattern(v)
		if err != nil {
			return nil, err
		}
		e = c.meet(e, m, c.anyText)
	}
	if v := s.fields["format"]; v != nil && !c.options.AnnotateFormats {
		m, err := c.format(v)
		if err != nil {
			return nil, err
		}
		e = c.meet(e, m, c.anyText)
	}
	return c.typed(s, func(v *values) { v.text = e }), nil
}

// pattern returns the insides of strings in which the pattern v is found.
func (c *compiler) pattern(v *value) (expr.ID, error) {
	if v.kind != isString {
		return expr.Empty, &Error{Pointer: v.at, Want: "a pattern", Got: v.describe()}
	}
	return c.search(v, v.text)
}

func (c *compiler) search(v *value, pattern string) (expr.ID, error) {
	e, err := regex.Search(c.p, pattern, regex.JSON, c.anyText)
	if err != nil {
		return expr.Empty, &Error{Pointer: v.at, Want: "a pattern that is supported", Got: err.Error()}
	}
	return e, nil
}
