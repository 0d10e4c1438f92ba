package constrain

import (
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/gbnf"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/regex"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
)

// ErrTooLarge is what errors wrap of grammars that need more than the limits allow, when they are compiled or later.
var ErrTooLarge = grammar.ErrTooLarge

// Grammar says which texts are allowed. It is safe for concurrent use.
type Grammar struct {
	machine *grammar.Machine
	source  Source

	mu       sync.Mutex
	thinking map[thinkKey]*thinking
}

// budget is how many bytes a grammar keeps of the states that its texts have visited.
const budget = 8 << 20

// lead is the most blanks and line ends between think text and what a grammar matches.
const lead = 4

func newGrammar(b *grammar.Builder, start grammar.Symbol) (*Grammar, error) {
	b.Lead = b.Pool.Repeat(b.Pool.Bytes(expr.Of(" \t\r\n")), 0, lead)
	g, err := b.Grammar(start)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return &Grammar{machine: grammar.NewMachine(g, token.Pure, budget), thinking: map[thinkKey]*thinking{}}, nil
}

// JSONSchema returns the grammar of the JSON texts that match a schema. An error about the schema's text is a *jsonschema.Error,
// which has the place.
func JSONSchema(schema []byte, o jsonschema.Options) (*Grammar, error) {
	b, start, err := jsonschema.Compile(schema, o)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return newGrammar(b, start)
}

// JSONSchemaBetween is JSONSchema for texts that have one text before the JSON text and another behind it, such as a fence of
// Markdown.
func JSONSchemaBetween(before string, schema []byte, behind string, o jsonschema.Options) (*Grammar, error) {
	b, value, err := jsonschema.Compile(schema, o)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	start := b.Nonterminal()
	right := []grammar.Symbol{value}
	if before != "" {
		right = append([]grammar.Symbol{b.Terminal(b.Pool.Literal(before))}, right...)
	}
	if behind != "" {
		right = append(right, b.Terminal(b.Pool.Literal(behind)))
	}
	b.Add(start, right...)
	return newGrammar(b, start)
}

// maxExpressions bounds the expressions of a pattern or a GBNF grammar.
const maxExpressions = 1 << 18

// MaxPattern is the most bytes of a regular expression.
const MaxPattern = 1 << 20

// Regexp returns the grammar of the texts that pattern matches as a whole, in the syntax of the standard library's regexp.
func Regexp(pattern string) (*Grammar, error) {
	if len(pattern) > MaxPattern {
		return nil, fmt.Errorf("constrain: pattern: %w (want at most %d bytes, got %d)", ErrTooLarge, MaxPattern, len(pattern))
	}
	b := grammar.NewBuilder(maxExpressions)
	e, err := regex.Whole(b.Pool, pattern, regex.UTF8)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return newGrammar(b, b.Terminal(e))
}

// GBNF returns the grammar of the texts that the rule "root" matches, in the notation of llama.cpp (see package gbnf). An error
// about the grammar's text is a *gbnf.Error.
func GBNF(text string) (*Grammar, error) {
	b, start, err := gbnf.Compile(text, maxExpressions)
	if err != nil {
		return nil, fmt.Errorf("constrain: %w", err)
	}
	return newGrammar(b, start)
}
