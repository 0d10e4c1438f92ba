package jsonschema

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// decimal is a number in plain notation: whole has no zeros before others, fraction none behind.
type decimal struct {
	negative        bool // never of zero
	whole, fraction string
}

// maxDigits bounds the exponents of numbers in a schema; that of the largest float64 is 308.
const maxDigits = 1000

// decimal returns the number that v is.
func (v *value) decimal() (decimal, error) {
	if v.kind != isNumber {
		return decimal{}, &Error{Pointer: v.at, Want: "a number", Got: v.describe()}
	}
	text, exponent, _ := strings.Cut(strings.ToLower(v.text), "e")
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift > maxDigits || shift < -maxDigits {
			return decimal{}, tooLarge(v.at, fmt.Sprintf("the number %.30s", v.text))
		}
	}
	var d decimal
	text, d.negative = strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(text, ".")
	if shift >= 0 {
		fraction += strings.Repeat("0", max(shift-len(fraction), 0))
		whole, fraction = whole+fraction[:shift], fraction[shift:]
	} else {
		whole = strings.Repeat("0", max(-shift-len(whole), 0)) + whole
		whole, fraction = whole[:len(whole)+shift], whole[len(whole)+shift:]+fraction
	}
	d.whole, d.fraction = cmp.Or(strings.TrimLeft(whole, "0"), "0"), strings.TrimRight(fraction, "0")
	d.negative = d.negative && (d.whole != "0" || d.fraction != "")
	return d, nil
}

func (d decimal) String() string {
	text := d.whole
	if d.fraction != "" {
		text += "." + d.fraction
	}
	if d.negative {
		text = "-" + text
	}
	return text
}

func (d decimal) isZero() bool { return d.whole == "0" && d.fraction == "" }

// numbers has the expressions of numbers. Those of plain notation have every spelling of a value, or none, so that they may be
// met and complemented as sets of values.
type numbers struct {
	p        *expr.Pool
	any      expr.ID // as JSON writes numbers, with exponents
	plain    expr.ID // without exponents
	size     expr.ID // plain, without a sign
	positive expr.ID // plain, above zero
	integer  expr.ID // plain, with nothing but zeros behind the point
	short    expr.ID // integer, without a point

	digit, digits, fraction, nonzero expr.ID
}

func newNumbers(p *expr.Pool) *numbers {
	n := &numbers{p: p}
	n.digit = p.Bytes(expr.Range('0', '9'))
	n.digits = p.Star(n.digit)
	first := p.Bytes(expr.Range('1', '9'))
	whole := p.Or(p.Literal("0"), p.Concat(first, n.digits))
	point, minus := p.Literal("."), p.Optional(p.Literal("-"))
	n.fraction = p.Optional(p.Concat(point, n.digit, n.digits))
	n.nonzero = p.Concat(n.digits, first, n.digits)
	n.size = p.Concat(whole, n.fraction)
	n.plain = p.Concat(minus, n.size)
	n.short = p.Concat(minus, whole)
	n.integer = p.Concat(n.short, p.Optional(p.Concat(point, p.Repeat(p.Literal("0"), 1, expr.Unbounded))))
	exponent := p.Concat(p.Bytes(expr.Of("eE")), p.Optional(p.Bytes(expr.Of("+-"))), n.digit, n.digits)
	n.any = p.Concat(n.plain, p.Optional(exponent))
	n.positive = n.sizeAbove(decimal{whole: "0"}, true)
	return n
}

// sizeAbove matches sizes that are at least that of d, or more than it if strict.
func (n *numbers) sizeAbove(d decimal, strict bool) expr.ID {
	p := n.p
	greater := func(b byte) expr.ID {
		if b == '9' {
			return expr.Empty
		}
		return p.Bytes(expr.Range(b+1, '9'))
	}
	more := len(d.whole)
	parts := []expr.ID{p.Concat(p.Bytes(expr.Range('1', '9')), p.Repeat(n.digit, more, expr.Unbounded), n.fraction)}
	for k := range d.whole {
		parts = append(parts, p.Concat(p.Literal(d.whole[:k]), greater(d.whole[k]), p.Repeat(n.digit, more-k-1, more-k-1), n.fraction))
	}
	prefix := d.whole + "."
	for k := range d.fraction {
		parts = append(parts, p.Concat(p.Literal(prefix+d.fraction[:k]), greater(d.fraction[k]), n.digits))
	}
	switch equal := p.Literal(prefix + d.fraction); {
	case strict:
		parts = append(parts, p.Concat(equal, n.nonzero))
	case d.fraction == "":
		parts = append(parts, p.Concat(p.Literal(d.whole), n.fraction))
	default:
		parts = append(parts, p.Concat(equal, n.digits))
	}
	return p.Or(parts...)
}

func (n *numbers) sizeBelow(d decimal, strict bool) expr.ID {
	return n.p.And(n.size, n.p.Not(n.sizeAbove(d, !strict)))
}

// atLeast matches numbers that are at least d, or more than it if strict.
func (n *numbers) atLeast(d decimal, strict bool) expr.ID {
	p, minus := n.p, n.p.Literal("-")
	switch {
	case d.negative:
		return p.Or(n.size, p.Concat(minus, n.sizeBelow(d, strict)))
	case d.isZero() && !strict:
		return p.Or(n.size, n.value(d))
	}
	return n.sizeAbove(d, strict)
}

// atMost matches numbers that are at most d, or less than it if strict.
func (n *numbers) atMost(d decimal, strict bool) expr.ID {
	p, minus := n.p, n.p.Literal("-")
	switch {
	case d.negative:
		return p.Concat(minus, n.sizeAbove(d, strict))
	case d.isZero() && strict:
		return p.Concat(minus, n.positive)
	}
	return p.Or(n.sizeBelow(d, strict), p.Concat(minus, n.size))
}

// value matches every plain spelling of d.
func (n *numbers) value(d decimal) expr.ID {
	p := n.p
	zeros := p.Star(p.Literal("0"))
	sign := expr.Epsilon
	switch {
	case d.isZero():
		sign = p.Optional(p.Literal("-"))
	case d.negative:
		sign = p.Literal("-")
	}
	if d.fraction == "" {
		return p.Concat(sign, p.Literal(d.whole), p.Optional(p.Concat(p.Literal(".0"), zeros)))
	}
	return p.Concat(sign, p.Literal(d.whole+"."+d.fraction), zeros)
}

// multiple matches multiples of d, which is above zero. ok is false if d has too many digits.
func (n *numbers) multiple(d decimal) (e expr.ID, ok bool) {
	of, err := strconv.ParseInt(d.whole+d.fraction, 10, 64)
	if err != nil || of > expr.MaxMultiple || len(d.fraction) > 15 {
		return expr.Empty, false
	}
	p := n.p
	return p.And(n.plain, p.Concat(p.Optional(p.Literal("-")), p.Multiple(of, len(d.fraction)))), true
}
