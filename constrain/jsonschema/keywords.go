package jsonschema

import (
	"strconv"
	"strings"
)

// remarks are keywords that no instance depends on.
var remarks = map[string]bool{
	"$schema": true, "$id": true, "id": true, "$anchor": true, "$comment": true, "$defs": true, "definitions": true,
	"$dynamicAnchor": true, "title": true, "description": true, "default": true, "examples": true, "example": true, "readOnly": true,
	"writeOnly": true, "deprecated": true, "contentSchema": true,
	"then": true, "else": true, // which "if" reads
	"minContains": true, "maxContains": true, // which "contains" reads
}

// reader reads a group of keywords of a schema.
type reader func(c *compiler, s *value) (*values, error)

// readers are the keywords that limit instances, and what reads them. Those that are read together have the same reader,
// which is called once.
var readers map[string]*reader

func init() { // which refers to the functions that refer to it
	readers = map[string]*reader{}
	for names, read := range map[string]reader{
		"type": (*compiler).types, "enum": (*compiler).enum, "const": (*compiler).enum,
		"minimum maximum exclusiveMinimum exclusiveMaximum multipleOf":                                         (*compiler).numeric,
		"minLength maxLength pattern format":                                                                   (*compiler).strings,
		"prefixItems items additionalItems minItems maxItems uniqueItems contains":                             (*compiler).array,
		"properties patternProperties additionalProperties required propertyNames minProperties maxProperties": (*compiler).object,
		"dependentRequired dependentSchemas dependencies":                                                      (*compiler).dependent,
		"allOf": (*compiler).allOf, "anyOf": (*compiler).anyOf, "oneOf": (*compiler).oneOf, "not": (*compiler).negated,
		"if": (*compiler).conditional, "$ref": (*compiler).reference,
	} {
		for _, name := range strings.Fields(names) {
			readers[name] = &read
		}
	}
}

// schemaValues returns the values that match schema s.
func (c *compiler) schemaValues(s *value) (*values, error) {
	switch {
	case s.kind == isTrue:
		return c.all(s), nil
	case s.kind == isFalse:
		return &values{}, nil
	case s.kind != isObject:
		return nil, &Error{Pointer: s.at, Want: "a schema, which is an object or a boolean", Got: s.describe()}
	}
	if v, ok := c.schema[s]; ok {
		return v, nil
	}
	if c.open[s] {
		return nil, &Error{Pointer: s.at, Want: "a schema that does not lead back to itself for the same value", Got: "one that does"}
	}
	if len(c.open) > maxDepth {
		return nil, tooLarge(s.at, "a long chain of references")
	}
	c.open[s] = true
	defer delete(c.open, s)
	v, err := c.readKeywords(s)
	if err != nil {
		return nil, err
	}
	c.schema[s] = v
	return v, nil
}

func (c *compiler) readKeywords(s *value) (*values, error) {
	if s.fields["$ref"] != nil && c.refs.old {
		return c.reference(s)
	}
	out := c.all(s)
	done := map[*reader]bool{}
	for _, k := range s.keys {
		if remarks[k] || k == "unevaluatedProperties" || k == "unevaluatedItems" || strings.HasPrefix(k, "x-") {
			continue
		}
		read := readers[k]
		if (k == "contentEncoding" || k == "contentMediaType") && (!c.refs.old || c.options.AnnotateFormats) {
			continue // a remark, which draft 7 has validators take for more
		}
		if read == nil {
			return nil, unsupported(s.fields[k], "no such keyword is known")
		}
		if done[read] {
			continue
		}
		done[read] = true
		v, err := (*read)(c, s)
		if err == nil {
			out, err = c.and(out, v, s.fields[k])
		}
		if err != nil {
			return nil, err
		}
	}
	return c.unevaluated(s, out)
}

// typed returns all values but for what change makes of one type.
func (c *compiler) typed(s *value, change func(v *values)) *values {
	v := c.all(s)
	change(v)
	return v
}

func (c *compiler) types(s *value) (*values, error) {
	t := s.fields["type"]
	names := t.items
	if t.kind == isString {
		names = []*value{t}
	}
	if len(names) == 0 {
		return nil, &Error{Pointer: t.at, Want: "the name of a type or a list of such names", Got: t.describe()}
	}
	out, all := &values{}, c.all(s)
	for _, n := range names {
		if n.kind != isString {
			return nil, &Error{Pointer: n.at, Want: "the name of a type", Got: n.describe()}
		}
		switch n.text {
		case "null":
			out.null = true
		case "boolean":
			out.yes, out.no = true, true
		case "number":
			out.number, out.shown = all.number, all.shown
		case "integer":
			if out.number != all.number {
				out.number, out.shown = c.numbers.integer, c.numbers.short
			}
		case "string":
			out.text = all.text
		case "array":
			out.arrays = all.arrays
		case "object":
			out.objects = all.objects
		default:
			return nil, &Error{Pointer: n.at, Want: "null, boolean, number, integer, string, array or object", Got: n.describe()}
		}
	}
	return out, nil
}

// number returns the value of a keyword that is a number, or nil if it is not there.
func number(s *value, keyword string) (*decimal, error) {
	v := s.fields[keyword]
	if v == nil {
		return nil, nil
	}
	d, err := v.decimal()
	return &d, err
}

func (c *compiler) numeric(s *value) (*values, error) {
	e := c.numbers.any
	for _, limit := range []struct {
		name   string
		below  bool // reports whether it is the largest
		strict bool
	}{{"minimum", false, false}, {"exclusiveMinimum", false, true}, {"maximum", true, false}, {"exclusiveMaximum", true, true}} {
		strict := limit.strict
		if v := s.fields[limit.name]; v != nil && (v.kind == isTrue || v.kind == isFalse) && strict {
			continue // draft 4's, which is read with the limit
		}
		d, err := number(s, limit.name)
		if err != nil {
			return nil, err
		}
		if d == nil {
			continue
		}
		if x := s.fields["exclusiveM"+limit.name[1:]]; x != nil && x.kind == isTrue {
			strict = true
		}
		if limit.below {
			e = c.meet(e, c.numbers.atMost(*d, strict), c.numbers.any)
		} else {
			e = c.meet(e, c.numbers.atLeast(*d, strict), c.numbers.any)
		}
	}
	d, err := number(s, "multipleOf")
	if err != nil {
		return nil, err
	}
	if d != nil {
		v := s.fields["multipleOf"]
		if d.negative || d.isZero() {
			return nil, &Error{Pointer: v.at, Want: "a number above 0", Got: v.describe()}
		}
		m, ok := c.numbers.multiple(*d)
		if !ok {
			return nil, unsupported(v, "of a number without a point, or made one by powers of ten, at most 10000 is")
		}
		e = c.meet(e, m, c.numbers.any)
	}
	return c.typed(s, func(v *values) { v.number, v.shown = e, e }), nil
}

// count returns the value of a keyword that counts, or missing if it is not there.
func count(s *value, keyword string, missing int) (int, error) {
	v := s.fields[keyword]
	if v == nil {
		return missing, nil
	}
	d, err := v.decimal()
	if err == nil && (d.negative || d.fraction != "") {
		err = &Error{Pointer: v.at, Want: "an integer of at least 0", Got: v.describe()}
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(d.whole)
	if err != nil || n > maxCount {
		if strings.HasPrefix(keyword, "max") {
			return missing, nil // nothing that comes out of a model is as long
		}
		return 0, tooLarge(v.at, v.describe())
	}
	return n, nil
}

// maxCount is the largest count that is held to. A text of a billion characters or items is out of any model's reach.
const maxCount = 1 << 30
