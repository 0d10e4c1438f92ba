package regex

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// JSON is the encoding of the inside of a JSON string in which every character is written in one way: as itself, or as the
// shortest escape where it needs one.
func JSON(p *expr.Pool, ranges [][2]rune) expr.ID {
	var plain [][2]rune
	var parts []expr.ID
	for _, r := range ranges {
		low := r[0]
		for c := max(low, 0); c <= r[1] && c <= 0x7F; c++ {
			if text := escaped(c); text != "" {
				if low < c {
					plain = append(plain, [2]rune{low, c - 1})
				}
				low = c + 1
				parts = append(parts, p.Literal(text))
			}
		}
		if low <= r[1] {
			plain = append(plain, [2]rune{low, r[1]})
		}
	}
	return p.Or(append(parts, p.Runes(plain...))...)
}

// escaped returns how c is written if not as itself.
func escaped(c rune) string {
	switch c {
	case '"', '\\':
		return `\` + string(c)
	case '\b':
		return `\b`
	case '\f':
		return `\f`
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if c < ' ' || c == 0x7f {
		return fmt.Sprintf(`\u%04x`, c)
	}
	return ""
}

// Quote returns text as a JSON string in which every character is written in the one way of JSON. Bytes that are not
// UTF-8 become U+FFFD.
func Quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		if e := escaped(c); e != "" {
			b.WriteString(e)
		} else {
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// AnyJSON returns the expressions of a character of a JSON string, and of the inside of every JSON string, each character being
// written in the one way of JSON.
func AnyJSON(p *expr.Pool) (char, text expr.ID) {
	char = JSON(p, [][2]rune{{0, utf8.MaxRune}})
	p.Character(char)
	return char, p.Star(char)
}
