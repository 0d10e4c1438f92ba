package grammars

import (
	"encoding/json"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// recipe is what a constraint is made from.
type recipe struct {
	Source  *constrain.Source `json:"source,omitempty"` // nil for no grammar
	After   string            `json:"after,omitempty"`
	Spaced  bool              `json:"spaced,omitempty"`
	First   string            `json:"first,omitempty"` // which the answer has to begin with
	Thought bool              `json:"thought,omitempty"`
}

// made is a constraint that knows what it was made from.
type made struct {
	sample.Constraint
	r     recipe
	begun bool // reports whether it has accepted an id
}

// Accept notes an id.
func (m *made) Accept(id int) (done bool, err error) {
	m.begun = true
	return m.Constraint.Accept(id)
}

// Clone returns a constraint that goes on from here by itself.
func (m *made) Clone() sample.Constraint { return &made{m.Constraint.Clone(), m.r, m.begun} }

// Recipe returns what Remake makes the constraint from as it was before the first id; nil once it has accepted one, and
// where the source of its grammar is not known.
func (m *made) Recipe() []byte {
	if m.begun || m.r.Source != nil && m.r.Source.Kind == "" {
		return nil
	}
	b, _ := json.Marshal(m.r) // never fails
	return b
}

// make makes the constraint of a recipe. g is the grammar of its source.
func (c *Compiler) make(r recipe, g *constrain.Grammar) (sample.Constraint, *wire.Error) {
	var limit sample.Constraint
	var err error
	switch {
	case g == nil:
	case r.First != "":
		limit, err = constrain.NewBehind(g, c.vocab, r.First)
	case r.After != "":
		limit, err = constrain.NewAfter(g, c.vocab, r.After)
	case r.Spaced:
		limit = constrain.NewSpaced(g, c.vocab)
	default:
		limit = constrain.New(g, c.vocab)
	}
	if err != nil {
		return nil, refuse("response_format", err)
	}
	if r.Thought {
		limit = c.thoughts.Begin(limit)
	}
	return &made{Constraint: limit, r: r}, nil
}

// Remake makes a constraint that another process has told the recipe of.
func (c *Compiler) Remake(data []byte) (sample.Constraint, error) {
	var r recipe
	if err := json.Unmarshal(data, &r); err != nil || r.Source == nil && !r.Thought {
		return nil, fmt.Errorf("grammars: the recipe of a constraint: want a source or a thought, got neither (%w)", err)
	}
	var g *constrain.Grammar
	if r.Source != nil {
		var err error
		if g, err = c.cache.Get(*r.Source); err != nil {
			return nil, err
		}
	}
	limit, err := c.make(r, g)
	if err != nil {
		return nil, err
	}
	return limit, nil
}

// source returns the source of a grammar.
func source(g *constrain.Grammar) *constrain.Source {
	s := g.Source()
	return &s
}
