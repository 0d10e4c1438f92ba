// Package words renders counts, sizes and texts for people.
package words

import (
	"fmt"
	"strings"
	"unicode"
)

// Plural returns n with a noun, such as "1 token" and "2 tokens".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Size renders bytes in binary units, with four digits.
func Size(bytes uint64) string {
	n := float64(bytes)
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if n < 1024 {
			return fmt.Sprintf("%.4g %s", n, unit)
		}
		n /= 1024
	}
	return fmt.Sprintf("%.4g GiB", n)
}

// Shown returns a text of unknown origin as a terminal may show it: nothing of it is a command for the terminal, and
// nothing changes the order of what is shown. Lines, tabs and blanks of any width stay, and so do the joiners within
// emoji and Indic letters. All else that does not print is U+FFFD.
func Shown(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || unicode.IsPrint(r) || unicode.Is(unicode.Zs, r):
		case r >= '\u200b' && r <= '\u200d': // places to break a line, and joiners
		default:
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
