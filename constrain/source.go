package constrain

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// Source is what a grammar is compiled from.
type Source struct {
	Kind   Kind               `json:"kind"`
	Text   string             `json:"text"` // a schema, a pattern, or GBNF
	Before string             `json:"before,omitempty"`
	Behind string             `json:"behind,omitempty"`
	Schema jsonschema.Options `json:"schema,omitzero"`
}

// Kind is a language of grammars.
type Kind string

// The kinds. That of a schema between other texts has Source.Before and Source.Behind.
const (
	OfSchema  Kind = "schema"
	OfBetween Kind = "between"
	OfRegexp  Kind = "regexp"
	OfGBNF    Kind = "gbnf"
)

// Compile returns the grammar of a source, which then has it.
func (s Source) Compile() (g *Grammar, err error) {
	switch s.Kind {
	case OfSchema:
		g, err = JSONSchema([]byte(s.Text), s.Schema)
	case OfBetween:
		g, err = JSONSchemaBetween(s.Before, []byte(s.Text), s.Behind, s.Schema)
	case OfRegexp:
		g, err = Regexp(s.Text)
	case OfGBNF:
		g, err = GBNF(s.Text)
	default:
		return nil, fmt.Errorf("constrain: kind: want %s, %s, %s or %s, got %q", OfSchema, OfBetween, OfRegexp, OfGBNF, s.Kind)
	}
	if err == nil {
		g.source = s
	}
	return g, err
}

// Source returns what the grammar was compiled from by Source.Compile or a Cache; one without a Kind for other
// grammars.
func (g *Grammar) Source() Source { return g.source }
