package tokenizer

import (
	"bytes"
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// added finds tokens that are matched in the text before anything else: by first byte, longest first.
type added [256][]addedToken

type addedToken struct {
	text []byte
	id   int
}

func (a *added) add(text []byte, id int) {
	list := &a[text[0]]
	*list = append(*list, addedToken{text, id})
	slices.SortStableFunc(*list, func(x, y addedToken) int { return cmp.Compare(len(y.text), len(x.text)) })
}

// split appends, in order, the ids of the added tokens in text, and what encode appends for each part between them.
func (a *added) split(dst []int, text []byte, encode func([]int, []byte) []int) []int {
	start := 0
	for i := 0; i < len(text); {
		k := slices.IndexFunc(a[text[i]], func(t addedToken) bool { return bytes.HasPrefix(text[i:], t.text) })
		if k < 0 {
			i++
			continue
		}
		t := a[text[i]][k]
		if start < i {
			dst = encode(dst, text[start:i])
		}
		dst = append(dst, t.id)
		i += len(t.text)
		start = i
	}
	if start < len(text) {
		dst = encode(dst, text[start:])
	}
	return dst
}

// validPrefix returns how much of the start of b is valid UTF-8.
func validPrefix(b []byte) int {
	if utf8.Valid(b) {
		return len(b)
	}
	i := 0
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// kind is a class of characters in GPT-2's pattern.
type kind uint8

const (
	other kind = iota
	letter
	number
	space
)

func kindAt(b []byte) (kind, int) {
	r, n := utf8.DecodeRune(b)
	switch {
	case unicode.IsLetter(r):
		return letter, n
	case unicode.IsNumber(r):
		return number, n
	case unicode.IsSpace(r):
		return space, n
	}
	return other, n
}

// contractions are the endings that are words of their own.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// wordLen returns the length of the first word of text, which is valid UTF-8 and not empty. It is the first match of
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// (GPT-2, encoder.py): white space before a word leaves its last character to the word, which takes it if it is a
// blank.
func wordLen(text []byte) int {
	for _, c := range contractions {
		if text[0] == c[0] && bytes.HasPrefix(text, []byte(c)) {
			return len(c)
		}
	}
	k, n := kindAt(text)
	if text[0] == ' ' && len(text) > 1 {
		if after, m := kindAt(text[1:]); after != space {
			k, n = after, 1+m
		}
	}
	last := 0 // length of the last character
	for n < len(text) {
		next, m := kindAt(text[n:])
		if next != k {
			break
		}
		n, last = n+m, m
	}
	if k == space && n < len(text) && last > 0 {
		return n - last
	}
	return n
}

// maxNonStarters is how many combining characters in a row package norm takes. It divides longer runs by U+034F, which
// NFC does not do.
const maxNonStarters = 30

// composed returns text, which is valid UTF-8, in Unicode normalisation form C. It may return text itself.
func composed(text []byte) []byte {
	switch {
	case norm.NFC.IsNormal(text):
		return text
	case longestRun(text) > maxNonStarters:
		return composedSlowly(text)
	}
	return norm.NFC.Bytes(text)
}

// longestRun returns the most combining characters in a row that text has when decomposed.
func longestRun(text []byte) int {
	run, longest := 0, 0
	count := func(b []byte) {
		if norm.NFD.Properties(b).CCC() == 0 {
			run = 0
			return
		}
		run++
		longest = max(longest, run)
	}
	for len(text) > 0 {
		p := norm.NFD.Properties(text)
		d := p.Decomposition()
		for len(d) > 0 {
			count(d)
			_, n := utf8.DecodeRune(d)
			d = d[n:]
		}
		if p.Decomposition() == nil {
			count(text)
		}
		_, n := utf8.DecodeRune(text)
		text = text[n:]
	}
	return longest
}

// composedSlowly is the definition of NFC (Unicode 15, section 3.11), character by character: decompose, put combining
// characters in order of class, compose each with the last starter unless one between them has its class or a higher.
func composedSlowly(text []byte) []byte {
	class := func(r rune) uint8 { return norm.NFD.PropertiesString(string(r)).CCC() }
	var chars []rune
	for _, r := range string(text) {
		chars = append(chars, []rune(norm.NFD.String(string(r)))...)
	}
	for i := 0; i < len(chars); i++ {
		end := i
		for end < len(chars) && class(chars[end]) != 0 {
			end++
		}
		slices.SortStableFunc(chars[i:end], func(a, b rune) int { return cmp.Compare(class(a), class(b)) })
		i = end
	}
	out := chars[:0]
	starter, before := -1, uint8(0) // the last starter in out, and the class of out's last character
	for _, r := range chars {
		c := class(r)
		adjacent := starter == len(out)-1
		if starter >= 0 && (adjacent || before != 0 && before < c) {
			if both := []rune(norm.NFC.String(string([]rune{out[starter], r}))); len(both) == 1 {
				out[starter] = both[0]
				continue
			}
		}
		if c == 0 {
			starter = len(out)
		}
		out, before = append(out, r), c
	}
	return []byte(string(out))
}
