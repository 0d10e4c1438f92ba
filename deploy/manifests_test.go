package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// object is a manifest, or a part of one.
type object map[string]any

// at returns what lies at a path of names, nil where nothing does.
func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// part is at for an object.
func (o object) part(path ...string) object { m, _ := o.at(path...).(map[string]any); return m }

// list is at for a list of objects.
func (o object) list(path ...string) (all []object) {
	l, _ := o.at(path...).([]any)
	for _, v := range l {
		m, _ := v.(map[string]any)
		all = append(all, m)
	}
	return all
}

// text is at for a text, "" where there is none.
func (o object) text(path ...string) string { s, _ := o.at(path...).(string); return s }

// kind is how the schema names what an object is.
func (o object) kind() string { return o.text("apiVersion") + " " + o.text("kind") }

// name is the object's name behind its kind.
func (o object) name() string { return o.text("kind") + " " + o.text("metadata", "name") }

// readYAML returns the documents of a file as JSON has them: numbers are those of JSON, and names are texts.
func readYAML(t *testing.T, path string) (all []object) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var v map[string]any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, asJSON(t, v))
	}
}

// asJSON returns a value as a decoder of JSON makes it.
func asJSON(t *testing.T, v any) object {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	got, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return got.(map[string]any)
}

// manifests returns the objects of all files that kustomization.yaml names, and the examples of secrets.
func manifests(t *testing.T) (all []object) {
	t.Helper()
	k := readYAML(t, filepath.Join("kubernetes", "kustomization.yaml"))[0]
	named := k["resources"].([]any)
	for _, name := range append(named, "secrets.yaml") {
		all = append(all, readYAML(t, filepath.Join("kubernetes", name.(string)))...)
	}
	if len(named) < 4 || len(all) < 8 {
		t.Fatalf("only %d files with %d objects", len(named), len(all))
	}
	return all
}

// schemas compiles the schema of each kind.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("kubernetes", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("kubernetes.json", document); err != nil {
		t.Fatal(err)
	}
	all := map[string]*jsonschema.Schema{}
	for kind := range document.(map[string]any)["kinds"].(map[string]any) {
		pointer := strings.NewReplacer("~", "~0", "/", "~1", " ", "%20").Replace(kind)
		if all[kind], err = c.Compile("kubernetes.json#/kinds/" + pointer); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The manifests are what the published description of the Kubernetes API takes.
func TestManifests(t *testing.T) {
	known := schemas(t)
	for _, o := range manifests(t) {
		s := known[o.kind()]
		if s == nil {
			t.Errorf("%s: want one of %v, got %s", o.name(), slices.Sorted(maps.Keys(known)), o.kind())
			continue
		}
		if err := s.Validate(map[string]any(o)); err != nil {
			t.Errorf("%s: %v", o.name(), err)
		}
	}
}

// change sets or, with nil, removes a value.
func (o object) change(t *testing.T, v any, path ...string) {
	t.Helper()
	last := len(path) - 1
	in := o.part(path[:last]...)
	if in == nil {
		t.Fatalf("%s has no %v", o.name(), path[:last])
	}
	if in[path[last]] = v; v == nil {
		delete(in, path[last])
	}
}

// The description refuses mistakes: fields that it does not have, and values of another type.
func TestManifestsRefused(t *testing.T) {
	known := schemas(t)
	for _, c := range []struct {
		name  string
		value any
		path  []string
	}{
		{"StatefulSet rwkv-gpu", json.Number("3"), []string{"spec", "replica"}},
		{"StatefulSet rwkv-gpu", "three", []string{"spec", "replicas"}},
		{"StatefulSet rwkv-gpu", nil, []string{"spec", "selector"}},
		{"StatefulSet rwkv-gpu", true, []string{"spec", "template", "spec", "securityContext", "runAsNotRoot"}},
		{"StatefulSet rwkv-gpu", "60s", []string{"spec", "template", "spec", "terminationGracePeriodSeconds"}},
		{"Service rwkv-gpu", "http", []string{"spec", "ports"}},
		{"PodDisruptionBudget rwkv-gpu", []any{}, []string{"spec", "maxUnavailable"}},
		{"HorizontalPodAutoscaler rwkv-gpu", nil, []string{"spec", "maxReplicas"}},
		{"NetworkPolicy rwkv-gpu", "app", []string{"spec", "podSelector", "matchLabels"}},
		{"Secret rwkv-gpu-keys", json.Number("7"), []string{"stringData", "keys"}},
	} {
		all := manifests(t)
		i := slices.IndexFunc(all, func(o object) bool { return o.name() == c.name })
		if i < 0 {
			t.Fatalf("no %s", c.name)
		}
		all[i].change(t, c.value, c.path...)
		if known[all[i].kind()].Validate(map[string]any(all[i])) == nil {
			t.Errorf("%s: %v may be %v", c.name, c.path, c.value)
		}
	}
}
