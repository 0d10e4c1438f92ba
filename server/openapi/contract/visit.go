package contract

import (
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// visit notes what of a schema's description a value has: members, and which of several schemas it matches.
func (c *Contract) visit(at string, v any) error {
	schema, at := c.resolve(at)
	for _, word := range []string{"oneOf", "anyOf", "allOf"} {
		choices, _ := schema[word].([]any)
		for i := range choices {
			place := at + pointer(word, strconv.Itoa(i))
			compiled, err := c.schema(strictURL, place)
			if err != nil {
				return err
			}
			if compiled.Validate(v) == nil {
				c.seen[place] = true
				if err := c.visit(place, v); err != nil {
					return err
				}
			}
		}
	}
	switch v := v.(type) {
	case string:
		if schema["contentSchema"] == nil {
			return nil
		}
		inner, err := jsonschema.UnmarshalJSON(strings.NewReader(v))
		if err != nil {
			return err
		}
		return c.visit(at+pointer("contentSchema"), inner)
	case []any:
		if schema["items"] == nil {
			return nil
		}
		for _, element := range v {
			if err := c.visit(at+pointer("items"), element); err != nil {
				return err
			}
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, value := range v {
			place := at + pointer("properties", name)
			if properties[name] == nil {
				if place = at + pointer("additionalProperties"); !isObject(schema["additionalProperties"]) {
					continue
				}
			}
			c.seen[place] = true
			if err := c.visit(place, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func isObject(v any) bool {
	_, ok := v.(map[string]any)
	return ok
}

// Unseen lists what of the description no answer has had so far: statuses, media types, members of objects, and schemas of
// which a value matches one.
func (c *Contract) Unseen() (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := map[string]bool{}
	note := func(at string) {
		if !c.seen[at] && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	var schema func(at string)
	schema = func(at string) {
		node, at := c.resolve(at)
		if done[at] {
			return
		}
		done[at] = true
		for _, word := range []string{"oneOf", "anyOf", "allOf"} {
			choices, _ := node[word].([]any)
			for i := range choices {
				note(at + pointer(word, strconv.Itoa(i)))
				schema(at + pointer(word, strconv.Itoa(i)))
			}
		}
		properties, _ := node["properties"].(map[string]any)
		for name := range properties {
			note(at + pointer("properties", name))
			schema(at + pointer("properties", name))
		}
		for _, word := range []string{"items", "additionalProperties", "contentSchema"} {
			if isObject(node[word]) {
				schema(at + pointer(word))
			}
		}
	}
	for _, r := range c.routes {
		responses, _ := r.operation["responses"].(map[string]any)
		for status := range responses {
			place := r.at + pointer("responses", status)
			note(place)
			response, at := c.resolve(place)
			contents, _ := response["content"].(map[string]any)
			for kind := range contents {
				note(at + pointer("content", kind))
				schema(at + pointer("content", kind, "schema"))
			}
		}
	}
	slices.SortFunc(list, strings.Compare)
	return list
}
