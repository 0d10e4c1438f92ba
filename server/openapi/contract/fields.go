package contract

import (
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Fields compares the members that the description of an operation's body names with those of the struct that it is read
// into. It returns what one has and the other has not. Where a type reads JSON by itself, as tells the type that it reads.
// What a type leaves to others, such as jsontext.Value, is not compared. A described integer without bounds that is read
// into one of Go's, which has bounds, is a difference too.
func (c *Contract) Fields(operation string, body reflect.Type, as map[reflect.Type]reflect.Type) (differences []string) {
	i := slices.IndexFunc(c.routes, func(r route) bool { return r.String() == operation })
	if i < 0 {
		return []string{operation + " is not described"}
	}
	m, within := mutator{doc: c.doc}, map[reflect.Type]bool{}
	var compare func(path string, t reflect.Type, parts []map[string]any)
	compare = func(path string, t reflect.Type, parts []map[string]any) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
			if t.Kind() == reflect.Slice {
				parts, path = append(slices.Clone(parts), m.items(parts)...), path+"[]"
			}
			t = t.Elem()
		}
		if other := as[t]; other != nil {
			t = other
		} else if reflect.PointerTo(t).Implements(reflect.TypeFor[json.UnmarshalerFrom]()) {
			return
		}
		if t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64 && slices.ContainsFunc(parts, boundless) {
			differences = append(differences, path+" is described as an integer without a minimum or a maximum")
		}
		if t.Kind() != reflect.Struct || within[t] {
			return
		}
		within[t] = true
		defer delete(within, t)
		read, described := map[string]reflect.Type{}, m.members(parts)
		members(t, read)
		for name := range described {
			if read[name] == nil {
				differences = append(differences, path+"."+name+" is described and not read")
			}
		}
		for name, inner := range read {
			if described[name] == nil {
				differences = append(differences, path+"."+name+" is read and not described")
				continue
			}
			compare(path+"."+name, inner, described[name])
		}
	}
	compare("", body, m.parts(lookup(c.doc, c.routes[i].at+pointer("requestBody", "content", "application/json", "schema"))))
	return differences
}

// boundless reports whether a schema of integers lacks a bound.
func boundless(schema map[string]any) bool {
	types, _ := schema["type"].([]any)
	return (schema["type"] == "integer" || slices.Contains(types, any("integer"))) &&
		(schema["minimum"] == nil || schema["maximum"] == nil) && schema["const"] == nil && schema["enum"] == nil
}

// HasBody reports whether an operation has a body of JSON.
func (c *Contract) HasBody(operation string) bool {
	return slices.ContainsFunc(c.routes, func(r route) bool {
		return r.String() == operation && lookup(c.doc, r.at+pointer("requestBody", "content", "application/json")) != nil
	})
}

// members adds the types of a struct's members as JSON has them, those of embedded structs among them.
func members(t reflect.Type, to map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			members(f.Type, to)
		case name != "" && name != "-":
			to[name] = f.Type
		}
	}
}
