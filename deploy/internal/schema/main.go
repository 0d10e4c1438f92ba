// Command schema makes schema.json of deploy/kubernetes from the published description of the Kubernetes API: the kinds that
// the manifests have, with all that they refer to, without prose.
//
//	go run ./deploy/internal/schema $(go mod download -json k8s.io/kubernetes@v1.34.1 | jq -r .Dir) > deploy/kubernetes/schema.json
//
// The description is OpenAPI 3.0 (api/openapi-spec/v3 of Kubernetes' repository). The result is one JSON Schema with a
// definition for each kind. An object takes only the fields that the description names, as the API server does when it is
// asked to be strict.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// kinds are what the manifests have: the file of the description, and the definition's name in it.
var kinds = map[string][2]string{
	"apps/v1 StatefulSet":                    {"apis__apps__v1", "io.k8s.api.apps.v1.StatefulSet"},
	"v1 Service":                             {"api__v1", "io.k8s.api.core.v1.Service"},
	"v1 Secret":                              {"api__v1", "io.k8s.api.core.v1.Secret"},
	"policy/v1 PodDisruptionBudget":          {"apis__policy__v1", "io.k8s.api.policy.v1.PodDisruptionBudget"},
	"autoscaling/v2 HorizontalPodAutoscaler": {"apis__autoscaling__v2", "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler"},
	"networking.k8s.io/v1 NetworkPolicy":     {"apis__networking.k8s.io__v1", "io.k8s.api.networking.v1.NetworkPolicy"},
}

func main() {
	if len(os.Args) != 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: schema FOLDER, where FOLDER has the source of Kubernetes") // there is nowhere else to say it
		os.Exit(2)
	}
	if err := write(os.Stdout, os.Args[1]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// write writes the schema of all kinds.
func write(w io.Writer, source string) error {
	r := reducer{source: source, files: map[string]map[string]any{}, defs: map[string]any{}}
	roots := map[string]any{}
	for kind, at := range kinds {
		ref, err := r.take(at[0], at[1])
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		roots[kind] = ref
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(map[string]any{
		"$schema":  "https://json-schema.org/draft/2020-12/schema",
		"$comment": "From the OpenAPI description of Kubernetes (Apache License 2.0), by deploy/internal/schema",
		"kinds":    roots, "$defs": r.defs})
}

// reducer collects definitions.
type reducer struct {
	source string
	files  map[string]map[string]any // the definitions of each file
	defs   map[string]any            // what was taken, by name
}

// take takes a definition with all that it refers to, and returns a reference to it.
func (r *reducer) take(file, name string) (ref any, err error) {
	ref = map[string]any{"$ref": "#/$defs/" + name}
	if _, done := r.defs[name]; done {
		return ref, nil
	}
	all, err := r.open(file)
	if err != nil {
		return nil, err
	}
	d, ok := all[name].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: want the definition %s, got none", file, name)
	}
	r.defs[name] = true // for definitions that refer to themselves
	reduced, err := r.reduce(file, d)
	if err != nil {
		return nil, err
	}
	r.defs[name] = reduced
	return ref, nil
}

func (r *reducer) open(file string) (map[string]any, error) {
	if all, ok := r.files[file]; ok {
		return all, nil
	}
	path := filepath.Join(r.source, "api", "openapi-spec", "v3", file+"_openapi.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var document struct {
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(data, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Components.Schemas) == 0 {
		return nil, errors.New(path + ": want components.schemas, got none")
	}
	r.files[file] = document.Components.Schemas
	return document.Components.Schemas, nil
}

// kept are the words of a schema that say what is valid.
var kept = []string{"type", "required", "enum", "format", "minimum", "maximum", "pattern", "minLength", "maxLength", "minItems", "maxItems"}

// reduce returns a schema without prose, whose references are to other definitions of the result.
func (r *reducer) reduce(file string, from map[string]any) (to map[string]any, err error) {
	if ref, ok := from["$ref"].(string); ok {
		got, err := r.take(file, strings.TrimPrefix(ref, "#/components/schemas/"))
		if err != nil {
			return nil, err
		}
		return got.(map[string]any), nil
	}
	// A reference with prose beside it stands in an allOf of its own.
	if all, ok := from["allOf"].([]any); ok && len(all) == 1 {
		return r.reduce(file, all[0].(map[string]any))
	}
	to = map[string]any{}
	for _, word := range kept {
		if v, ok := from[word]; ok {
			to[word] = v
		}
	}
	for _, word := range []string{"items", "additionalProperties"} {
		if s, ok := from[word].(map[string]any); ok {
			if to[word], err = r.reduce(file, s); err != nil {
				return nil, err
			}
		}
	}
	if list, ok := from["oneOf"].([]any); ok {
		var some []any
		for _, s := range list {
			one, err := r.reduce(file, s.(map[string]any))
			if err != nil {
				return nil, err
			}
			some = append(some, one)
		}
		to["oneOf"] = some
	}
	properties, ok := from["properties"].(map[string]any)
	if !ok {
		return to, nil
	}
	reduced := map[string]any{}
	for name, s := range properties {
		if reduced[name], err = r.reduce(file, s.(map[string]any)); err != nil {
			return nil, err
		}
	}
	to["properties"] = reduced
	if _, open := to["additionalProperties"]; !open {
		to["additionalProperties"] = false
	}
	return to, nil
}
