package regex

import (
	"fmt"
	"strconv"
	"strings"
)

// ecma rewrites a pattern of ECMA-262 to Go's syntax, where the same signs mean something else. What Go has no signs for stays
// as it is and is refused there.
func ecma(pattern string) (string, error) {
	var out strings.Builder
	class := false
	for i := 0; i < len(pattern); {
		c := pattern[i]
		i++
		switch {
		case c == '\\':
			n, text, err := escape(pattern[i:], class)
			if err != nil {
				return "", fmt.Errorf("pattern %s: %w", short(pattern), err)
			}
			i += n
			out.WriteString(text)
		case c == '[' && !class:
			class = true
			switch {
			case strings.HasPrefix(pattern[i:], "^]"): // any character
				out.WriteString(`(?s:.)`)
				i, class = i+2, false
			case strings.HasPrefix(pattern[i:], "]"): // none
				out.WriteString(`[^\x00-\x{10FFFF}]`)
				i, class = i+1, false
			default:
				out.WriteByte(c)
			}
		case c == '[': // in a class: itself, and no name as [:alpha:]
			out.WriteString(`\[`)
		case c == ']':
			if !class {
				out.WriteString(`\`)
			}
			class = false
			out.WriteByte(c)
		case c == '.' && !class:
			out.WriteString(`[^\n\r\x{2028}\x{2029}]`)
		case c == '(' && !class && strings.HasPrefix(pattern[i:], "?") && !goodGroup(pattern[i:]):
			return "", fmt.Errorf("pattern %s: (%.3s is not supported", short(pattern), pattern[i:])
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}

// goodGroup reports whether a group that begins with a question mark is one of ECMA-262's that Go has too.
func goodGroup(s string) bool {
	return strings.HasPrefix(s, "?:") || strings.HasPrefix(s, "?<") && !strings.HasPrefix(s, "?<=") && !strings.HasPrefix(s, "?<!")
}

// What \s stands for, and what \S does.
const (
	blanks = `\t-\r \x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}\x{FEFF}`
	others = `\x00-\x08\x0E-\x1F!-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027}\x{202A}-\x{202E}` +
		`\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{FEFE}\x{FF00}-\x{10FFFF}`
)

// escape rewrites what stands behind a backslash, and returns how much of s it is.
func escape(s string, class bool) (n int, text string, err error) {
	if s == "" {
		return 0, "", fmt.Errorf(`nothing stands behind the last \`)
	}
	switch c := s[0]; c {
	case 's', 'S':
		text = blanks
		if c == 'S' {
			text = others
		}
		if !class {
			text = "[" + text + "]"
		}
		return 1, text, nil
	case 'b':
		if class {
			return 1, `\x08`, nil
		}
		return 0, "", fmt.Errorf(`\b is not supported: it depends on what stands beside it`)
	case '0':
		if len(s) > 1 && s[1] >= '0' && s[1] <= '9' {
			return 0, "", fmt.Errorf(`\%.2s is not supported`, s)
		}
		return 1, `\x00`, nil
	case 'c':
		if len(s) > 1 && (s[1]|0x20) >= 'a' && (s[1]|0x20) <= 'z' {
			return 2, fmt.Sprintf(`\x%02X`, s[1]%32), nil
		}
	case 'u':
		return unicodeEscape(s)
	case 'd', 'D', 'w', 'W', 'p', 'P', 'n', 'r', 't', 'f', 'v', 'x':
		return 1, `\` + s[:1], nil
	}
	if c := s[0]; c < 0x80 && (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' {
		return 1, `\` + s[:1], nil
	}
	return 0, "", fmt.Errorf(`\%.1s is not supported`, s)
}

func unicodeEscape(s string) (n int, text string, err error) {
	if digits, rest, ok := strings.Cut(s[1:], "}"); ok && strings.HasPrefix(digits, "{") {
		if v, err := strconv.ParseUint(digits[1:], 16, 32); err == nil && v <= 0x10FFFF {
			return len(s) - len(rest), fmt.Sprintf(`\x{%X}`, v), nil
		}
	}
	high, ok := hex4(s)
	if !ok {
		return 0, "", fmt.Errorf(`\u: want four hexadecimal digits, got %.4q`, s[1:])
	}
	if high >= 0xD800 && high < 0xDC00 && strings.HasPrefix(s[5:], `\`) {
		if low, ok := hex4(s[6:]); ok && low >= 0xDC00 && low < 0xE000 {
			return 11, fmt.Sprintf(`\x{%X}`, 0x10000+(high-0xD800)<<10+(low-0xDC00)), nil
		}
	}
	return 5, fmt.Sprintf(`\x{%X}`, high), nil
}

// hex4 reads the u and four digits of an escape.
func hex4(s string) (uint64, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(s[1:5], 16, 16)
	return v, err == nil
}
