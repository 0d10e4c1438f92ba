package gbnf

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// character reads a character or an escape; what tells one of a literal from one of a set.
func (p *parser) character(what string) (rune, error) {
	start := p.at
	r, n := utf8.DecodeRuneInString(p.text[p.at:])
	if n == 0 || r == '\n' && what != "" {
		return 0, p.wanted("the end of " + what)
	}
	p.at += n
	if r != '\\' {
		return r, nil
	}
	var digits int
	c := p.peek()
	p.at++
	switch c {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case '\\', '"', '[', ']', '-', '^':
		return rune(c), nil
	default:
		return 0, p.fault(start, "an escape such as \\n", "another one")
	}
	text := p.text[min(p.at, len(p.text)):min(p.at+digits, len(p.text))]
	v, err := strconv.ParseUint(text, 16, 32)
	if err != nil || len(text) < digits || v > utf8.MaxRune || v >= 0xD800 && v < 0xE000 {
		return 0, p.fault(start, strconv.Itoa(digits)+" hexadecimal digits of a character", strconv.Quote(text))
	}
	p.at += digits
	return rune(v), nil
}

func (p *parser) literal() (expr.ID, error) {
	p.at++
	var text strings.Builder
	for !p.take(`"`) {
		r, err := p.character("the literal")
		if err != nil {
			return expr.Empty, err
		}
		text.WriteRune(r)
	}
	return p.b.Pool.Literal(text.String()), nil
}

func (p *parser) set() (expr.ID, error) {
	p.at++
	not := p.take("^")
	var ranges [][2]rune
	for !p.take("]") {
		low, err := p.character("the set")
		if err != nil {
			return expr.Empty, err
		}
		high := low
		if p.peek() == '-' && !strings.HasPrefix(p.text[p.at:], "-]") {
			at := p.at
			p.at++
			if high, err = p.character("the set"); err != nil {
				return expr.Empty, err
			}
			if high < low {
				return expr.Empty, p.fault(at, "a range upwards", "one downwards")
			}
		}
		ranges = append(ranges, [2]rune{low, high})
	}
	if not {
		ranges = complement(ranges)
	}
	return p.b.Pool.Runes(ranges...), nil
}

// complement returns the characters that are in none of ranges.
func complement(ranges [][2]rune) [][2]rune {
	slices.SortFunc(ranges, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	var out [][2]rune
	next := rune(0)
	for _, r := range ranges {
		if r[0] > next {
			out = append(out, [2]rune{next, r[0] - 1})
		}
		next = max(next, r[1]+1)
	}
	if next <= utf8.MaxRune {
		out = append(out, [2]rune{next, utf8.MaxRune})
	}
	return out
}

// repetition reads how often t may come: *, +, ? or numbers in braces.
func (p *parser) repetition(t term) (term, error) {
	for {
		least, most := 0, expr.Unbounded
		start := p.at
		p.space(false)
		switch {
		case p.take("*"):
		case p.take("+"):
			least = 1
		case p.take("?"):
			most = 1
		case p.take("{"):
			var err error
			if least, most, err = p.counts(); err != nil {
				return term{}, err
			}
		default:
			p.at = start
			return t, nil
		}
		t = p.repeat(t, least, most)
		if err := p.b.Err(); err != nil {
			return term{}, p.tooLarge(start, err.Error())
		}
	}
}

// counts reads what follows an opening brace.
func (p *parser) counts() (least, most int, err error) {
	if least, err = p.number(); err != nil {
		return 0, 0, err
	}
	most = least
	if p.take(",") {
		most = expr.Unbounded
		p.space(false)
		if p.peek() != '}' {
			at := p.at
			if most, err = p.number(); err != nil {
				return 0, 0, err
			}
			if most < least {
				return 0, 0, p.fault(at, "at least "+strconv.Itoa(least), strconv.Itoa(most))
			}
		}
	}
	if !p.take("}") {
		return 0, 0, p.wanted("a closing brace")
	}
	return least, most, nil
}

func (p *parser) number() (int, error) {
	p.space(false)
	start := p.at
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.at++
	}
	n, err := strconv.Atoi(p.text[start:p.at])
	if p.at == start {
		return 0, p.wanted("a number")
	}
	if err != nil || n > maxRepeat {
		return 0, p.tooLarge(start, p.text[start:p.at]+" repetitions")
	}
	p.space(false)
	return n, nil
}

// repeat returns what matches t so many times. What has rules in it is repeated from left to right.
func (p *parser) repeat(t term, least, most int) term {
	if t.regular {
		return term{regular: true, e: p.b.Pool.Repeat(t.e, least, most)}
	}
	// Each symbol of the chain matches one repetition more than the one before.
	s := p.b.Nonterminal()
	chain := p.b.Terminal(expr.Epsilon)
	for n := 0; ; n++ {
		if n >= least {
			p.b.Add(s, chain)
		}
		if n == most || n == least && most == expr.Unbounded {
			break
		}
		next := p.b.Nonterminal()
		p.b.Add(next, chain, t.symbol)
		chain = next
	}
	if most == expr.Unbounded {
		p.b.Add(s, s, t.symbol)
	}
	return term{symbol: s}
}
