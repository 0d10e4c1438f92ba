package openai

import (
	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// form returns what the answer is held to, nil for nothing.
func (q *chatCall) form() (sample.Constraint, *wire.Error) {
	frame := q.prompt.Frame()
	g, param, err := q.grammar(frame)
	if err != nil || g == nil {
		return nil, err
	}
	return q.h.options.Hold(q.prompt, param, g)
}

// grammar returns the grammar that one of the fields asks for, and the field.
func (q *chatCall) grammar(frame prompt.Frame) (g *constrain.Grammar, param string, err *wire.Error) {
	var asked []string
	if c := q.q.ToolChoice; c.Mode == "required" || c.Mode == "named" {
		asked = append(asked, "tool_choice")
	}
	if f := q.q.Format; f != nil && f.Type != "text" {
		asked = append(asked, "response_format")
	}
	for _, own := range []struct{ name, sent string }{{"grammar", q.q.Grammar}, {"regex", q.q.Regex}} {
		if own.sent != "" {
			asked = append(asked, own.name)
		}
	}
	switch {
	case len(asked) > 1:
		return nil, "", wire.Wrong(asked[1], "none beside "+asked[0], "one")
	case len(asked) == 0:
		return nil, "", nil
	}
	switch asked[0] {
	case "tool_choice":
		q.called = true
		g, err = q.h.options.Forms.Call("tools", "function.parameters", q.prompt.Tools, q.q.ToolChoice.Name, frame)
	case "response_format":
		g, err = q.h.format(q.q.Format.form())
	default:
		g, err = q.h.pattern(&q.q.Common)
	}
	return g, asked[0], err
}

// format is a form of answers that a field asks for.
type format struct {
	kind, kindField     string // text, json_object or json_schema
	schema, schemaField string // of json_schema
}

// form returns the form that the format is.
func (f *ResponseFormat) form() format {
	form := format{kind: f.Type, kindField: "response_format.type", schemaField: "response_format.json_schema.schema"}
	if f.Schema != nil {
		form.schema = string(f.Schema.Schema)
	}
	return form
}

// format returns the grammar of a form.
func (h *Handlers) format(f format) (*constrain.Grammar, *wire.Error) {
	switch {
	case f.kind == "json_object":
		return h.options.Forms.Object()
	case f.kind != "json_schema":
		return nil, wire.Wrong(f.kindField, "text, json_object or json_schema", "another string")
	case f.schema == "":
		return nil, wire.Missing(f.schemaField, "a JSON schema")
	}
	return h.options.Forms.Schema(f.schemaField, []byte(f.schema))
}

// pattern returns the grammar of our own fields, nil for none.
func (h *Handlers) pattern(c *Common) (*constrain.Grammar, *wire.Error) {
	switch {
	case c.Grammar != "" && c.Regex != "":
		return nil, wire.Wrong("regex", "none beside grammar", "one")
	case c.Grammar != "":
		return h.options.Forms.GBNF("grammar", c.Grammar)
	case c.Regex != "":
		return h.options.Forms.Regexp("regex", c.Regex)
	}
	return nil, nil
}
