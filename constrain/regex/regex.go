package regex

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"unicode"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// Encoding makes the expression of one character of ranges, pairs of a first and a last one, as a text is written.
type Encoding func(p *expr.Pool, ranges [][2]rune) expr.ID

// UTF8 is the encoding of a text as it is.
func UTF8(p *expr.Pool, ranges [][2]rune) expr.ID { return p.Runes(ranges...) }

// Whole returns the expression of the texts that pattern, of Go's syntax, matches as a whole.
func Whole(p *expr.Pool, pattern string, in Encoding) (expr.ID, error) {
	m, err := parse(p, pattern, in)
	if err != nil {
		return expr.Empty, err
	}
	return p.Or(m[0][0], m[0][1], m[1][0], m[1][1]), nil
}

// Search returns the expression of the texts in which pattern, of ECMA-262's syntax, matches somewhere. any matches every text.
func Search(p *expr.Pool, pattern string, in Encoding, any expr.ID) (expr.ID, error) {
	pattern, err := ecma(pattern)
	if err != nil {
		return expr.Empty, err
	}
	m, err := parse(p, pattern, in)
	if err != nil {
		return expr.Empty, err
	}
	return p.Or(p.Concat(any, m[0][0], any), p.Concat(m[1][0], any), p.Concat(any, m[0][1]), m[1][1]), nil
}

// matches has what an expression matches if it need not, or must, begin where the text begins (first index), and end where the
// text ends (second).
type matches [2][2]expr.ID

type parser struct {
	p  *expr.Pool
	in Encoding
}

// maxDepth bounds how deep groups may lie in each other; the standard library's parser has the same limit.
const maxDepth = 1000

func parse(p *expr.Pool, pattern string, in Encoding) (matches, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return matches{}, fmt.Errorf("pattern %s: %w", short(pattern), err)
	}
	m, err := (&parser{p, in}).matches(tree, maxDepth)
	if err != nil {
		return matches{}, fmt.Errorf("pattern %s: %w", short(pattern), err)
	}
	return m, nil
}

// short quotes a pattern, or the beginning of a long one.
func short(pattern string) string {
	if len(pattern) > 100 {
		return fmt.Sprintf("%.100q…", pattern)
	}
	return fmt.Sprintf("%q", pattern)
}

func plain(e expr.ID) matches { return matches{{e, expr.Empty}, {expr.Empty, expr.Empty}} }

func (r *parser) matches(t *syntax.Regexp, depth int) (matches, error) {
	if depth == 0 {
		return matches{}, errors.New("too many groups in each other")
	}
	switch t.Op {
	case syntax.OpNoMatch:
		return plain(expr.Empty), nil
	case syntax.OpEmptyMatch:
		return plain(expr.Epsilon), nil
	case syntax.OpLiteral:
		return plain(r.literal(t)), nil
	case syntax.OpCharClass:
		ranges := make([][2]rune, 0, len(t.Rune)/2)
		for i := 0; i+1 < len(t.Rune); i += 2 {
			ranges = append(ranges, [2]rune{t.Rune[i], t.Rune[i+1]})
		}
		return plain(r.in(r.p, ranges)), nil
	case syntax.OpAnyCharNotNL:
		return plain(r.in(r.p, [][2]rune{{0, '\n' - 1}, {'\n' + 1, unicode.MaxRune}})), nil
	case syntax.OpAnyChar:
		return plain(r.in(r.p, [][2]rune{{0, unicode.MaxRune}})), nil
	case syntax.OpBeginText:
		return matches{{}, {expr.Epsilon, expr.Empty}}, nil
	case syntax.OpEndText:
		return matches{{expr.Empty, expr.Epsilon}, {}}, nil
	case syntax.OpCapture:
		return r.matches(t.Sub[0], depth-1)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return r.repeat(t, depth)
	case syntax.OpConcat, syntax.OpAlternate:
		return r.several(t, depth)
	}
	return matches{}, fmt.Errorf("%s is not supported: it depends on what stands beside it", t)
}

func (r *parser) literal(t *syntax.Regexp) expr.ID {
	parts := make([]expr.ID, len(t.Rune))
	for i, c := range t.Rune {
		ranges := [][2]rune{{c, c}}
		if t.Flags&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
				ranges = append(ranges, [2]rune{f, f})
			}
		}
		parts[i] = r.in(r.p, ranges)
	}
	return r.p.Concat(parts...)
}

func (r *parser) repeat(t *syntax.Regexp, depth int) (matches, error) {
	least, most := 0, expr.Unbounded
	switch t.Op {
	case syntax.OpPlus:
		least = 1
	case syntax.OpQuest:
		most = 1
	case syntax.OpRepeat:
		least, most = t.Min, t.Max
	}
	m, err := r.matches(t.Sub[0], depth-1)
	if err != nil {
		return matches{}, err
	}
	anchored := m[0][1] != expr.Empty || m[1][0] != expr.Empty || m[1][1] != expr.Empty
	switch {
	case !anchored:
		return plain(r.p.Repeat(m[0][0], least, most)), nil
	case least == 0 && most == 1:
		m[0][0] = r.p.Or(m[0][0], expr.Epsilon)
		return m, nil
	}
	return matches{}, fmt.Errorf("%s is not supported: an anchor in what repeats", t)
}

func (r *parser) several(t *syntax.Regexp, depth int) (matches, error) {
	parts := make([]matches, len(t.Sub))
	for i, sub := range t.Sub {
		var err error
		if parts[i], err = r.matches(sub, depth-1); err != nil {
			return matches{}, err
		}
	}
	if t.Op == syntax.OpAlternate {
		var out matches
		for b := range 2 {
			for e := range 2 {
				list := make([]expr.ID, len(parts))
				for i := range parts {
					list[i] = parts[i][b][e]
				}
				out[b][e] = r.p.Or(list...)
			}
		}
		return out, nil
	}
	out := plain(expr.Epsilon)
	for i := len(parts) - 1; i >= 0; i-- {
		out = r.concat(parts[i], out)
	}
	return out, nil
}

// concat has x before y. If y must begin where the text begins, x has matched nothing but the empty text; and so has y, if x must
// end where the text ends.
func (r *parser) concat(x, y matches) matches {
	var out matches
	add := func(b, e int, m expr.ID) { out[b][e] = r.p.Or(out[b][e], m) }
	for bx := range 2 {
		for ex := range 2 {
			for by := range 2 {
				for ey := range 2 {
					a, b := x[bx][ex], y[by][ey]
					if by == 1 {
						a = r.emptyOnly(a)
					}
					if ex == 1 {
						b = r.emptyOnly(b)
					}
					add(bx|by, ex|ey, r.p.Concat(a, b))
				}
			}
		}
	}
	return out
}

func (r *parser) emptyOnly(e expr.ID) expr.ID {
	if r.p.Nullable(e) {
		return expr.Epsilon
	}
	return expr.Empty
}
