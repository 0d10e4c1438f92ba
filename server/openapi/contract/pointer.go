package contract

import (
	"net/url"
	"strconv"
	"strings"
)

// pointer returns the JSON pointer of names (RFC 6901).
func pointer(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return b.String()
}

// escape returns a JSON pointer as a fragment of a URL.
func escape(at string) string { return (&url.URL{Fragment: at}).EscapedFragment() }

// lookup returns the value at a JSON pointer, nil if there is none.
func lookup(v any, at string) any {
	for name := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

// closeObjects has the schemas of a description's answers take no members besides those that they name.
func closeObjects(doc map[string]any) {
	done := map[string]bool{}
	var schema func(v any)
	schema = func(v any) {
		switch node := v.(type) {
		case []any:
			for _, element := range node {
				schema(element)
			}
		case map[string]any:
			if ref, _ := node["$ref"].(string); ref != "" && !done[ref] {
				done[ref] = true
				schema(lookup(doc, strings.TrimPrefix(ref, "#")))
			}
			if node["properties"] != nil && node["additionalProperties"] == nil {
				node["additionalProperties"] = false
			}
			for _, inner := range node {
				schema(inner)
			}
		}
	}
	paths, _ := doc["paths"].(map[string]any)
	for _, item := range paths {
		methods, _ := item.(map[string]any)
		for _, operation := range methods {
			if o, ok := operation.(map[string]any); ok {
				schema(o["responses"])
			}
		}
	}
}
