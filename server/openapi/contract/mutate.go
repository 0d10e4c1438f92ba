package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Mutation is a body of which one value was changed.
type Mutation struct {
	Path  string // of the value, such as messages[0].content
	Value any    // as JSON; Removed if it was taken out
	Body  []byte
	Valid bool // reports whether the description allows the body
	Added bool // reports whether the body has no such member without the change
}

// Removed is the value of what was taken out.
const Removed = removed("taken out")

type removed string

// Mutations returns changes of a request's body, which is valid: in each, one described member has a value of another kind or
// at a bound, or is not there.
func (c *Contract) Mutations(operation string, body string) ([]Mutation, error) {
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.routes, func(r route) bool { return r.String() == operation })
	if i < 0 {
		return nil, fmt.Errorf("%s is not described", operation)
	}
	at := c.routes[i].at + pointer("requestBody", "content", "application/json", "schema")
	schema, err := c.schema(plainURL, at)
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", body, err)
	}
	m := mutator{doc: c.doc, schema: schema}
	root := lookup(c.doc, at)
	m.walk("", m.parts(root), v, func(changed any) any { return changed })
	return m.list, m.err
}

type mutator struct {
	doc    any
	schema *jsonschema.Schema
	list   []Mutation
	err    error
}

// parts returns a schema and all that it is made of by references, allOf, anyOf and oneOf.
func (m *mutator) parts(v any) (list []map[string]any) {
	node, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	if ref, _ := node["$ref"].(string); ref != "" {
		list = m.parts(lookup(m.doc, strings.TrimPrefix(ref, "#")))
	}
	list = append(list, node)
	for _, word := range []string{"allOf", "anyOf", "oneOf"} {
		choices, _ := node[word].([]any)
		for _, choice := range choices {
			list = append(list, m.parts(choice)...)
		}
	}
	return list
}

// members returns the schemas of the members that parts of a schema name.
func (m *mutator) members(parts []map[string]any) map[string][]map[string]any {
	all := map[string][]map[string]any{}
	for _, part := range parts {
		properties, _ := part["properties"].(map[string]any)
		for name, schema := range properties {
			all[name] = append(all[name], m.parts(schema)...)
		}
	}
	return all
}

// items returns the schemas of the elements of a list.
func (m *mutator) items(parts []map[string]any) (list []map[string]any) {
	for _, part := range parts {
		list = append(list, m.parts(part["items"])...)
	}
	return list
}

// walk changes each value of v that parts describe. rebuild returns the body with another value in the place of v.
func (m *mutator) walk(path string, parts []map[string]any, v any, rebuild func(any) any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range m.members(parts) {
			place := strings.TrimPrefix(path+"."+name, ".")
			with := func(value any) any {
				changed := maps.Clone(v)
				if changed[name] = value; value == Removed {
					delete(changed, name)
				}
				return rebuild(changed)
			}
			value, there := v[name]
			for _, value := range values(inner) {
				m.add(place, value, with(value), !there)
			}
			if there {
				m.add(place, Removed, with(Removed), false)
				m.walk(place, inner, value, with)
			}
		}
	case []any:
		inner := m.items(parts)
		for i := range v {
			m.walk(fmt.Sprintf("%s[%d]", path, i), inner, v[i], func(value any) any {
				changed := slices.Clone(v)
				changed[i] = value
				return rebuild(changed)
			})
		}
	}
}

func (m *mutator) add(path string, value, body any, added bool) {
	text, err := json.Marshal(body)
	if err != nil {
		m.err = err
		return
	}
	again, err := jsonschema.UnmarshalJSON(bytes.NewReader(text)) // numbers as a reader of the text has them
	if err != nil {
		m.err = err
		return
	}
	m.list = append(m.list, Mutation{path, value, text, m.schema.Validate(again) == nil, added})
}

// values returns values of all kinds, and those at the bounds that schemas name.
func values(parts []map[string]any) []any {
	list := []any{nil, true, false, 0, 1, -1, 1.5, json.Number("1.0"), "", "x", []any{}, []any{nil}, []any{"x"}, []any{1}, []any{1, nil},
		[]any{[]any{1, nil}}, []any{map[string]any{}}, map[string]any{}, map[string]any{"x": "y"}, map[string]any{"1": 1}, map[string]any{"+1": 1},
		map[string]any{"01": nil}}
	for _, p := range parts {
		if words, ok := p["enum"].([]any); ok {
			list = append(list, words...)
		}
		if word := p["const"]; word != nil {
			list = append(list, word)
		}
		for _, bound := range []string{"minimum", "maximum"} {
			n, ok := p[bound].(json.Number)
			if !ok {
				continue
			}
			list = append(list, n)
			x, exact := new(big.Int).SetString(n.String(), 10)
			if exact {
				one := big.NewInt(1)
				list = append(list, json.Number(new(big.Int).Sub(x, one).String()), json.Number(new(big.Int).Add(x, one).String()),
					json.Number(x.String()+".00000000000001"), json.Number(x.String()+".5"))
			}
		}
		if n, ok := length(p, "maxLength"); ok {
			list = append(list, strings.Repeat("x", n), strings.Repeat("x", n+1))
		}
		if n, ok := length(p, "maxItems"); ok {
			list = append(list, slices.Repeat([]any{"x"}, n), slices.Repeat([]any{"x"}, n+1))
		}
		if n, ok := length(p, "maxProperties"); ok {
			for _, size := range []int{n, n + 1} {
				o := map[string]any{}
				for i := range size {
					o[fmt.Sprint("x", i)] = "y"
				}
				list = append(list, o)
			}
		}
	}
	return list
}

func length(part map[string]any, word string) (int, bool) {
	n, ok := part[word].(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}
