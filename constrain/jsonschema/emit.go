package jsonschema

import (
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
)

// signs are the expressions of JSON's punctuation, with the blanks that may stand beside it.
type signs struct {
	blanks                               expr.ID
	openArray, closeArray, emptyArray    grammar.Symbol
	openObject, closeObject, emptyObject grammar.Symbol
	comma                                grammar.Symbol
	colon                                expr.ID
}

func (c *compiler) newSigns() signs {
	p := c.p
	blanks := p.Repeat(p.Bytes(expr.Of(" \t\n\r")), 0, c.options.Blanks)
	sign := func(parts ...expr.ID) grammar.Symbol { return c.b.Terminal(p.Concat(parts...)) }
	lit := p.Literal
	return signs{
		blanks:    blanks,
		openArray: sign(lit("["), blanks), closeArray: sign(blanks, lit("]")), emptyArray: sign(lit("["), blanks, lit("]")),
		openObject: sign(lit("{"), blanks), closeObject: sign(blanks, lit("}")), emptyObject: sign(lit("{"), blanks, lit("}")),
		comma: sign(blanks, lit(","), blanks),
		colon: p.Concat(blanks, lit(":"), blanks),
	}
}

// symbol returns the symbol of the values that match g, whose productions are added later.
func (c *compiler) symbol(g goal) grammar.Symbol {
	k := g.key()
	if s, ok := c.symbols[k]; ok {
		return s
	}
	s := c.b.Nonterminal()
	c.symbols[k] = s
	c.queue = append(c.queue, g)
	return s
}

// emit adds the productions of s, which are those of v.
func (c *compiler) emit(s grammar.Symbol, v *values) error {
	p := c.p
	var scalars []expr.ID
	for _, word := range []struct {
		text string
		has  bool
	}{{"null", v.null}, {"true", v.yes}, {"false", v.no}} {
		if word.has {
			scalars = append(scalars, p.Literal(word.text))
		}
	}
	shown := v.shown
	if v.number != v.shown && v.number != c.numbers.any {
		shown = c.meet(v.shown, v.number, c.numbers.any)
	}
	quote := p.Literal(`"`)
	scalars = append(scalars, shown, p.Concat(quote, v.text, quote))
	c.b.Add(s, c.b.Terminal(p.Or(scalars...)))
	for _, a := range v.arrays {
		if err := c.emitArray(s, a); err != nil {
			return err
		}
	}
	for _, o := range v.objects {
		if err := c.emitObject(s, o); err != nil {
			return err
		}
	}
	return nil
}

// sequence makes lists with commas, from left to right: each state that a list may be in has a symbol, which matches the lists
// of at least one element that lead to it.
type sequence struct {
	c       *compiler
	symbols map[string]grammar.Symbol
}

func (c *compiler) newSequence() *sequence { return &sequence{c, map[string]grammar.Symbol{}} }

func (q *sequence) at(state ...int) grammar.Symbol {
	var k []byte
	for _, n := range state {
		k = append(strconv.AppendInt(k, int64(n), 36), ' ')
	}
	s, ok := q.symbols[string(k)]
	if !ok {
		s = q.c.b.Nonterminal()
		q.symbols[string(k)] = s
	}
	return s
}

// add has element lead from one state to another; first says that no element may have come before.
func (q *sequence) add(from, to []int, first bool, element ...grammar.Symbol) {
	b := q.c.b
	if first {
		b.Add(q.at(to...), element...)
		return
	}
	b.Add(q.at(to...), append([]grammar.Symbol{q.at(from...), q.c.signs.comma}, element...)...)
}
