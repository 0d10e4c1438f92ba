// Package grammars makes the constraints that requests ask for: JSON objects, JSON schemas, calls of tools, regular
// expressions and grammars. What was compiled is remembered, since a program sends the same schema with every request.
package grammars

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/gbnf"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const (
	mostKept  = 128       // grammars
	keptBytes = 256 << 20 // of them together
	maskBytes = 64 << 20  // for masks of all grammars
	blanks    = 8         // between the tokens of JSON: enough to indent it, and not enough for a small model to get lost in
)

// Compiler compiles and remembers grammars. It is safe for concurrent use.
type Compiler struct {
	vocab    *token.Vocabulary
	cache    *constrain.Cache
	thoughts *constrain.Thoughts
}

// New returns a compiler for a model of so many ids.
func New(tok tokenizer.Tokenizer, vocab int) (*Compiler, error) {
	v, err := token.NewVocabulary(tok, vocab, []int{text.EndOfText}, maskBytes)
	if err != nil {
		return nil, err
	}
	return &Compiler{v, constrain.NewCache(mostKept, keptBytes), constrain.NewThoughts(v.Size(), v.Bytes)}, nil
}

// Thought returns a constraint for an answer that begins with a thought, whose tag the prompt has opened: the thought
// begins before it ends. next, which may be nil, holds beside it.
func (c *Compiler) Thought(next sample.Constraint) sample.Constraint {
	switch m, known := next.(*made); {
	case next == nil:
		return &made{Constraint: c.thoughts.Begin(nil), r: recipe{Thought: true}}
	case known && !m.begun && !m.r.Thought:
		r := m.r
		r.Thought = true
		return &made{Constraint: c.thoughts.Begin(m.Constraint), r: r}
	}
	return c.thoughts.Begin(next)
}

// Constraint returns a constraint of a grammar: for the beginning of an answer, where a few blanks may stand before if it is
// spaced, or behind the first place in the answer where a text ends, such as </think>, if after is not "".
func (c *Compiler) Constraint(g *constrain.Grammar, after string, spaced bool) (sample.Constraint, *wire.Error) {
	return c.make(recipe{Source: source(g), After: after, Spaced: spaced}, g)
}

// Behind returns a constraint of a grammar for an answer that has to begin with a text, such as the end of a tag.
func (c *Compiler) Behind(g *constrain.Grammar, first string) (sample.Constraint, *wire.Error) {
	return c.make(recipe{Source: source(g), First: first}, g)
}

// Object is the grammar of any JSON object.
func (c *Compiler) Object() (*constrain.Grammar, *wire.Error) {
	return c.Schema("response_format", []byte(`{"type":"object"}`))
}

// Schema is the grammar of the JSON texts that match the schema of a field.
func (c *Compiler) Schema(param string, schema []byte) (*constrain.Grammar, *wire.Error) {
	g, err := c.cache.JSONSchema(schema, jsonschema.Options{Blanks: blanks})
	return g, refuse(param, err)
}

// Regexp is the grammar of the texts that the pattern of a field matches.
func (c *Compiler) Regexp(param, pattern string) (*constrain.Grammar, *wire.Error) {
	g, err := c.cache.Regexp(pattern)
	return g, refuse(param, err)
}

// GBNF is the grammar of a field in the notation of llama.cpp.
func (c *Compiler) GBNF(param, source string) (*constrain.Grammar, *wire.Error) {
	g, err := c.cache.GBNF(source)
	return g, refuse(param, err)
}

// Call is the grammar of an answer that calls one of the tools of a field, or the one of a name if that is not "": a JSON
// object of the tool's name and its arguments, in a frame. member is where a tool has the schema of its arguments.
func (c *Compiler) Call(param, member string, tools []prompt.Tool, name string, f prompt.Frame) (*constrain.Grammar, *wire.Error) {
	var calls []string
	for i, t := range tools {
		if name != "" && t.Name != name {
			continue
		}
		parameters := t.Parameters
		if len(parameters) == 0 {
			parameters = json.RawMessage(`{"type":"object"}`)
		}
		// Each tool's parameters alone, so that an error names them; references in them are to themselves.
		place := fmt.Sprintf("%s[%d].%s", param, i, member)
		if _, err := c.Schema(place, parameters); err != nil {
			return nil, err
		}
		if strings.Contains(string(parameters), `"$ref"`) || strings.Contains(string(parameters), `"$id"`) {
			var err error
			if parameters, err = asDocument(parameters, i); err != nil {
				return nil, wire.Wrong(place, "an object", "something else")
			}
		}
		title, err := json.Marshal(t.Name)
		if err != nil {
			return nil, wire.Wrong(param, "names of tools as text", "others")
		}
		calls = append(calls, fmt.Sprintf(`{"type":"object","properties":{"name":{"const":%s},"arguments":%s},"required":["name","arguments"],"additionalProperties":false}`, title, parameters))
	}
	all := []byte(`{"anyOf":[` + strings.Join(calls, ",") + `]}`)
	g, err := c.cache.JSONSchemaBetween(f.Before, all, f.Behind, jsonschema.Options{Blanks: 1}) // which programs read
	return g, refuse(param, err)
}

// asDocument returns a schema that references lead from its own root, wherever it stands (JSON Schema 2020-12, 9.2.1).
func asDocument(schema json.RawMessage, i int) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(schema, &members); err != nil {
		return nil, err
	}
	if members["$id"] == nil {
		members["$id"] = json.RawMessage(fmt.Sprintf(`"https://tools.invalid/%d"`, i))
	}
	return json.Marshal(members)
}

// refuse returns the error of HTTP for a grammar that cannot be used.
func refuse(param string, err error) *wire.Error {
	var schema *jsonschema.Error
	var grammar *gbnf.Error
	e := &wire.Error{Status: http.StatusBadRequest, Param: param, Code: "invalid_grammar"}
	switch {
	case err == nil:
		return nil
	case errors.As(err, &schema):
		e.Message = fmt.Sprintf("%s: at %q: want %s, got %s", param, schema.Pointer, schema.Want, schema.Got)
	case errors.As(err, &grammar):
		e.Message = fmt.Sprintf("%s: line %d, column %d: want %s, got %s", param, grammar.Line, grammar.Column, grammar.Want, grammar.Got)
	default:
		e.Message = param + ": " + err.Error()
	}
	if len(e.Message) > 500 {
		e.Message = strings.ToValidUTF8(e.Message[:500], "") + "…"
	}
	return e
}
