// Package openapi serves the description of the server's paths (OpenAPI 3.1). People write it, in the files of the folder
// document, each of which has the paths of a theme and their schemas. Tests of package server compare it with the code: with
// the routes, with what the readers of bodies take and refuse, and with what is answered.
package openapi

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

//go:embed document/*.yaml
var files embed.FS

// Options are what of the description depends on the server.
type Options struct {
	Keys  bool // reports whether the server asks for keys
	Vocab int  // ids of the model's vocabulary
}

// Routes returns the route of the document. fail answers where something goes wrong.
func Routes(o Options, fail func(w http.ResponseWriter, e *wire.Error)) ([]api.Route, error) {
	document, err := Document(o)
	if err != nil {
		return nil, err
	}
	return []api.Route{{Pattern: "GET /openapi.json", Fail: fail, Open: true, Light: true,
		Handle: func(w http.ResponseWriter, _ *api.Call) *wire.Error {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(document) // if the client has left, nobody is there to be told
			return nil
		}}}, nil
}

// Document returns the description as JSON, in the order in which it is written.
func Document(o Options) ([]byte, error) {
	whole := &yaml.Node{Kind: yaml.MappingNode}
	list, err := files.ReadDir("document")
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	for _, entry := range list {
		data, err := files.ReadFile("document/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("openapi: %w", err)
		}
		var part yaml.Node
		if err := yaml.Unmarshal(data, &part); err != nil {
			return nil, fmt.Errorf("openapi: %s: %w", entry.Name(), err)
		}
		if err := merge(whole, part.Content[0], 2); err != nil {
			return nil, fmt.Errorf("openapi: %s: %w", entry.Name(), err)
		}
	}
	if !o.Keys {
		remove(whole, "security")
	}
	id := member(member(member(whole, "components"), "schemas"), "TokenID")
	if id == nil {
		return nil, fmt.Errorf("openapi: want the schema TokenID, got none")
	}
	set(id, "maximum", strconv.Itoa(o.Vocab-1))
	var b bytes.Buffer
	if err := write(&b, whole); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	return b.Bytes(), nil
}

// merge adds the members of one object to another. Objects of both are merged as well, for so many levels.
func merge(to, from *yaml.Node, levels int) error {
	for i := 0; i < len(from.Content); i += 2 {
		name, value := from.Content[i], from.Content[i+1]
		switch there := member(to, name.Value); {
		case there == nil:
			to.Content = append(to.Content, name, value)
		case levels == 0 || there.Kind != yaml.MappingNode || value.Kind != yaml.MappingNode:
			return fmt.Errorf("line %d: %s is there twice", name.Line, name.Value)
		default:
			if err := merge(there, value, levels-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// member returns the value of an object's member, nil if there is none.
func member(object *yaml.Node, name string) *yaml.Node {
	if object == nil {
		return nil
	}
	for i := 0; i < len(object.Content); i += 2 {
		if object.Content[i].Value == name {
			return object.Content[i+1]
		}
	}
	return nil
}

// set adds a member that is an integer.
func set(object *yaml.Node, name, value string) {
	object.Content = append(object.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name},
		&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: value})
}

// remove removes a member.
func remove(object *yaml.Node, name string) {
	for i := 0; i < len(object.Content); i += 2 {
		if object.Content[i].Value == name {
			object.Content = append(object.Content[:i], object.Content[i+2:]...)
			return
		}
	}
}

// write writes a value as JSON.
func write(b *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			b.WriteByte("{,"[min(i, 1)])
			if err := writeScalar(b, n.Content[i].Value); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := write(b, n.Content[i+1]); err != nil {
				return err
			}
		}
		if len(n.Content) == 0 {
			b.WriteByte('{')
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, element := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := write(b, element); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case yaml.ScalarNode:
		var v any
		if err := n.Decode(&v); err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		return writeScalar(b, v)
	}
	return fmt.Errorf("line %d: want objects, lists and values, got an alias or another kind", n.Line)
}

func writeScalar(b *bytes.Buffer, v any) error {
	data, err := json.Marshal(v)
	b.Write(data)
	return err
}
