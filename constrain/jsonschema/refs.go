package jsonschema

import (
	"net/url"
	"strconv"
	"strings"
)

// references finds what $ref leads to within a document.
type references struct {
	root     *value
	base     map[*value]*url.URL // of each schema
	resource map[string]*value   // by URI without a fragment
	anchor   map[string]*value   // by URI with a fragment that is a name
	old      bool                // reports whether $ref hides what stands beside it, as up to draft 7
}

// notSchemas are keywords whose values hold data and no schemas.
var notSchemas = map[string]bool{"const": true, "enum": true, "default": true, "examples": true, "example": true}

func findReferences(root *value) (*references, error) {
	r := &references{root: root, base: map[*value]*url.URL{}, resource: map[string]*value{}, anchor: map[string]*value{}}
	if s := root.fields["$schema"]; s != nil && s.kind == isString {
		r.old = strings.Contains(s.text, "draft-07") || strings.Contains(s.text, "draft-06") || strings.Contains(s.text, "draft-04") ||
			strings.Contains(s.text, "draft-03")
	} else {
		r.old = !mentions(root, "$defs") && mentions(root, "definitions")
	}
	base, _ := url.Parse("json-schema:///")
	r.resource[base.String()] = root
	err := r.walk(root, base, true)
	return r, err
}

// walk notes the identifiers in v. schema reports whether v's members are keywords; otherwise they are schemas by name.
func (r *references) walk(v *value, base *url.URL, schema bool) error {
	if schema && v.kind == isObject {
		var err error
		if base, err = r.identify(v, base); err != nil {
			return err
		}
	}
	r.base[v] = base
	for _, item := range v.items {
		if err := r.walk(item, base, true); err != nil {
			return err
		}
	}
	for _, k := range v.keys {
		if schema && notSchemas[k] {
			continue
		}
		// In "properties" and its like, members are no keywords.
		named := schema && (k == "properties" || k == "patternProperties" || k == "$defs" || k == "definitions" ||
			k == "dependentSchemas" || k == "dependencies")
		if err := r.walk(v.fields[k], base, !named); err != nil {
			return err
		}
	}
	return nil
}

func (r *references) identify(v *value, base *url.URL) (*url.URL, error) {
	id := v.fields["$id"]
	if r.old && v.fields["$ref"] != nil {
		return base, nil
	}
	if id != nil && id.kind == isString {
		u, err := url.Parse(id.text)
		if err != nil {
			return nil, &Error{Pointer: id.at, Want: "a URI", Got: id.describe()}
		}
		u = base.ResolveReference(u)
		if u.Fragment != "" {
			r.anchor[u.String()] = v
		} else {
			r.resource[u.String()] = v
			base = u
		}
	}
	for _, k := range []string{"$anchor", "$dynamicAnchor"} {
		if a := v.fields[k]; a != nil && a.kind == isString {
			u := *base
			u.Fragment = a.text
			r.anchor[u.String()] = v
		}
	}
	return base, nil
}

// resolve returns the schema that ref, the value of a $ref in schema s, leads to.
func (r *references) resolve(s, ref *value) (*value, error) {
	if ref.kind != isString {
		return nil, &Error{Pointer: ref.at, Want: "a URI reference", Got: ref.describe()}
	}
	u, err := url.Parse(ref.text)
	if err != nil {
		return nil, &Error{Pointer: ref.at, Want: "a URI reference", Got: ref.describe()}
	}
	u = r.base[s].ResolveReference(u)
	if found := r.anchor[u.String()]; found != nil {
		return found, nil
	}
	whole := *u
	whole.Fragment, whole.RawFragment = "", ""
	found := r.resource[whole.String()]
	if found == nil {
		return nil, &Error{Pointer: ref.at, Want: "a schema of the same document", Got: ref.describe()}
	}
	for _, part := range strings.Split(u.Fragment, "/")[1:] {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		if found.kind == isArray {
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(found.items) {
				return nil, &Error{Pointer: ref.at, Want: "a schema that is there", Got: ref.describe()}
			}
			found = found.items[i]
		} else {
			found = found.fields[part]
		}
		if found == nil {
			return nil, &Error{Pointer: ref.at, Want: "a schema that is there", Got: ref.describe()}
		}
	}
	if u.Fragment != "" && !strings.HasPrefix(u.Fragment, "/") {
		return nil, &Error{Pointer: ref.at, Want: "an anchor that is there", Got: ref.describe()}
	}
	return found, nil
}
