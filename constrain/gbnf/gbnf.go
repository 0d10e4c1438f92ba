package gbnf

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
)

// Error is a fault in a grammar's text.
type Error struct {
	Line, Column int // from 1 on, in characters
	Want, Got    string
	err          error
}

func (e *Error) Error() string {
	return fmt.Sprintf("grammar: line %d, column %d: want %s, got %s", e.Line, e.Column, e.Want, e.Got)
}

// Unwrap returns grammar.ErrTooLarge if the grammar is too large, else nil.
func (e *Error) Unwrap() error { return e.err }

const (
	// MaxSize is the most bytes of a grammar.
	MaxSize = 1 << 20
	// maxDepth bounds how deep parentheses may lie in each other.
	maxDepth = 500
	// maxRepeat is the largest number of a repetition, as in llama.cpp.
	maxRepeat = 2000
)

// Compile reads a grammar and returns a builder of at most limit expressions with the symbol of the rule "root". An error is an
// *Error.
func Compile(text string, limit int) (*grammar.Builder, grammar.Symbol, error) {
	p := &parser{text: text, b: grammar.NewBuilder(limit), rules: map[string]*rule{}}
	if len(text) > MaxSize {
		return nil, 0, p.tooLarge(0, fmt.Sprintf("%d bytes", len(text)))
	}
	if !utf8.ValidString(text) {
		return nil, 0, &Error{Line: 1, Column: 1, Want: "UTF-8", Got: "other bytes"}
	}
	if err := p.grammar(); err != nil {
		return nil, 0, err
	}
	for _, name := range p.names {
		if r := p.rules[name]; !r.defined {
			return nil, 0, p.fault(r.at, "a rule "+name, "none")
		}
	}
	root, ok := p.rules["root"]
	if !ok {
		return nil, 0, p.fault(len(text), `a rule "root"`, "none")
	}
	if err := p.b.Err(); err != nil {
		return nil, 0, p.tooLarge(0, err.Error())
	}
	return p.b, root.symbol, nil
}

// rule is a nonterminal with a name.
type rule struct {
	symbol  grammar.Symbol
	defined bool
	at      int // where it was first named
}

// term is what a part of a rule matches: an expression, or what has rules in it and so is a symbol.
type term struct {
	regular bool
	e       expr.ID
	symbol  grammar.Symbol
}

type parser struct {
	text  string
	at    int
	b     *grammar.Builder
	rules map[string]*rule
	names []string // in the order in which they came
}

func (p *parser) fault(at int, want, got string) *Error {
	before := p.text[:at]
	line := strings.Count(before, "\n")
	return &Error{
		Line: line + 1, Column: utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1, Want: want, Got: got,
	}
}

func (p *parser) tooLarge(at int, got string) *Error {
	e := p.fault(at, "less", got+": grammar too large")
	e.err = grammar.ErrTooLarge
	return e
}

// here describes what comes next.
func (p *parser) here() string {
	if p.at >= len(p.text) {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return fmt.Sprintf("%q", r)
}

func (p *parser) wanted(want string) error { return p.fault(p.at, want, p.here()) }

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *parser) take(sign string) bool {
	if strings.HasPrefix(p.text[p.at:], sign) {
		p.at += len(sign)
		return true
	}
	return false
}

// space goes on behind blanks and remarks, and behind ends of lines if lines.
func (p *parser) space(lines bool) {
	for {
		switch c := p.peek(); {
		case c == '#':
			for p.at < len(p.text) && p.peek() != '\n' && p.peek() != '\r' {
				p.at++
			}
		case c == ' ' || c == '\t' || lines && (c == '\n' || c == '\r'):
			p.at++
		default:
			return
		}
	}
}

func (p *parser) grammar() error {
	for p.space(true); p.at < len(p.text); p.space(true) {
		at := p.at
		r, err := p.name()
		if err != nil {
			return err
		}
		if r.defined {
			return p.fault(at, "each rule once", "this one again")
		}
		r.defined = true
		p.space(false)
		if !p.take("::=") {
			return p.wanted("::=")
		}
		p.space(true)
		t, err := p.alternatives(maxDepth)
		if err != nil {
			return err
		}
		p.b.Add(r.symbol, p.symbol(t))
		if c := p.peek(); c != '\n' && c != '\r' && c != 0 {
			return p.wanted("the end of the line")
		}
	}
	return nil
}

// name reads the name of a rule.
func (p *parser) name() (*rule, error) {
	start := p.at
	for c := p.peek(); c == '-' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'; c = p.peek() {
		p.at++
	}
	name := p.text[start:p.at]
	if name == "" {
		return nil, p.wanted("the name of a rule")
	}
	r := p.rules[name]
	if r == nil {
		r = &rule{symbol: p.b.Nonterminal(), at: start}
		p.rules[name] = r
		p.names = append(p.names, name)
	}
	return r, nil
}

func (p *parser) symbol(t term) grammar.Symbol {
	if t.regular {
		return p.b.Terminal(t.e)
	}
	return t.symbol
}

// alternatives reads sequences with | between them.
func (p *parser) alternatives(depth int) (term, error) {
	if depth == 0 {
		return term{}, p.tooLarge(p.at, "parentheses in each other")
	}
	var list []term
	regular := true
	for {
		t, err := p.sequence(depth)
		if err != nil {
			return term{}, err
		}
		list = append(list, t)
		regular = regular && t.regular
		end := p.at
		p.space(true) // a line that begins with | goes on with the rule
		if !p.take("|") {
			p.at = end
			break
		}
		p.space(true)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	if regular {
		parts := make([]expr.ID, len(list))
		for i, t := range list {
			parts[i] = t.e
		}
		return term{regular: true, e: p.b.Pool.Or(parts...)}, nil
	}
	s := p.b.Nonterminal()
	for _, t := range list {
		p.b.Add(s, p.symbol(t))
	}
	return term{symbol: s}, nil
}

// sequence reads elements up to an end of the line, a | or a closing parenthesis. Neighbours without rules become one.
func (p *parser) sequence(depth int) (term, error) {
	var list []term
	var parts []expr.ID // of the neighbours that come last
	flush := func() {
		if len(parts) > 0 {
			list = append(list, term{regular: true, e: p.b.Pool.Concat(parts...)})
			parts = nil
		}
	}
	for {
		t, ok, err := p.element(depth)
		if err != nil {
			return term{}, err
		}
		if !ok {
			break
		}
		if t, err = p.repetition(t); err != nil {
			return term{}, err
		}
		if t.regular {
			parts = append(parts, t.e)
			continue
		}
		flush()
		list = append(list, t)
	}
	flush()
	switch len(list) {
	case 0:
		return term{regular: true, e: expr.Epsilon}, nil
	case 1:
		return list[0], nil
	}
	s := p.b.Nonterminal()
	right := make([]grammar.Symbol, len(list))
	for i, t := range list {
		right[i] = p.symbol(t)
	}
	p.b.Add(s, right...)
	return term{symbol: s}, nil
}

// element reads a literal, a set, a dot, a name or what is in parentheses, if there is one.
func (p *parser) element(depth int) (term, bool, error) {
	p.space(depth < maxDepth)
	switch c := p.peek(); {
	case c == '"':
		e, err := p.literal()
		return term{regular: true, e: e}, true, err
	case c == '[':
		e, err := p.set()
		return term{regular: true, e: e}, true, err
	case c == '.':
		p.at++
		return term{regular: true, e: p.b.Pool.Runes([2]rune{0, utf8.MaxRune})}, true, nil
	case c == '(':
		p.at++
		t, err := p.alternatives(depth - 1)
		if err == nil && !p.take(")") {
			err = p.wanted("a closing parenthesis")
		}
		return t, true, err
	case c == 0 && p.at >= len(p.text), c == '\n', c == '\r', c == '|', c == ')' && depth < maxDepth:
		return term{}, false, nil
	}
	if p.peek() == '<' || p.peek() == '!' {
		return term{}, false, p.wanted("characters: tokens by name are not supported")
	}
	r, err := p.name()
	if err != nil {
		return term{}, false, p.wanted("a literal, a set, a dot, a name or a parenthesis")
	}
	return term{symbol: r.symbol}, true, nil
}
