package regex

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// random returns a pattern of the given depth over few characters, of one, two and four bytes.
func random(rng *rand.Rand, depth int) string {
	if depth == 0 {
		return []string{"a", "b", "é", "𝄞", "[ab]", "[^a]", ".", `\d`, "(?i:k)", "[à-ü]", `"`, `\\`}[rng.IntN(12)]
	}
	x, y := random(rng, depth-1), random(rng, depth-1)
	return []string{
		x + y, "(?:" + x + "|" + y + ")", "(?:" + x + ")*", "(?:" + x + ")?", "(?:" + x + "){1,3}", "(?:" + x + ")+" + y, "^" + x, x + "$",
		"(?:^" + x + "|" + y + "$)", x + "^" + y, "(?:" + x + "){2}",
	}[rng.IntN(11)]
}

func texts(rng *rand.Rand) []string {
	list := []string{""}
	for range 40 {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString([]string{"a", "b", "é", "𝄞", "k", "K", "\u212a", "7", "\n", `"`, `\`, "ÿ"}[rng.IntN(12)])
		}
		list = append(list, b.String())
	}
	return list
}

// Random patterns match what they match for the standard library: as a whole, and somewhere; and written as JSON.
func TestAgainstStandardLibrary(t *testing.T) {
	reference.Numbers(t)
	rng := rand.New(rand.NewPCG(1, 2))
	refused, matched := 0, 0
	for range 1500 {
		pattern := random(rng, 1+rng.IntN(3))
		p := expr.NewPool(1 << 16)
		whole, err := Whole(p, pattern, UTF8)
		if err != nil {
			refused++
			continue
		}
		m, err := parse(p, pattern, UTF8)
		if err != nil {
			t.Fatal(err)
		}
		any := p.Star(p.Runes([2]rune{0, utf8.MaxRune}))
		search := p.Or(p.Concat(any, m[0][0], any), p.Concat(m[1][0], any), p.Concat(any, m[0][1]), m[1][1])
		quoted, err := Whole(p, pattern, JSON)
		if err != nil {
			t.Fatal(err)
		}
		wholly, somewhere := regexp.MustCompile(`\A(?:`+pattern+`)\z`), regexp.MustCompile(pattern)
		not := p.Not(whole)
		for _, text := range texts(rng) {
			want := wholly.MatchString(text)
			if want {
				matched++
			}
			if got := p.Match(whole, text); got != want {
				t.Fatalf("%s: %q: got %v, want %v", pattern, text, got, want)
			}
			if got := p.Match(not, text); got == want {
				t.Fatalf("not %s: %q: got %v", pattern, text, got)
			}
			if got := p.Match(search, text); got != somewhere.MatchString(text) {
				t.Fatalf("%s within: %q: got %v", pattern, text, got)
			}
			q := Quote(text)
			if got := p.Match(quoted, q[1:len(q)-1]); got != want {
				t.Fatalf("%s as JSON: %s: got %v, want %v", pattern, q, got, want)
			}
		}
	}
	if refused > 300 || matched < 1000 {
		t.Errorf("%d patterns refused, %d texts matched", refused, matched)
	}
}

// Quote writes JSON that says the same.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "a\"b\\c", "\x00\x1f\x7f\b\f\n\r\t", "é𝄞\u2028"} {
		var back string
		if err := json.Unmarshal([]byte(Quote(text)), &back); err != nil || back != text {
			t.Errorf("%q: %s, %v", text, Quote(text), err)
		}
	}
}

// What ECMA-262 means by signs that Go reads differently.
func TestECMA(t *testing.T) {
	for _, c := range []struct {
		pattern, yes, no string
	}{
		{`^\s$`, "\u00a0\ufeff\u2003\v ", "a\u200b\u180e"},
		{`^\S$`, "aé", " \u00a0"},
		{`^[\s,]$`, "\u3000,", "a"},
		{`^[^\s]$`, "a", "\u3000"},
		{`^.$`, "a\u0085", "\n\r\u2028"},
		{`^[^]$`, "\na", ""},
		{`^\cA$`, "\x01", "A"},
		{`^\u00e9$`, "é", "e"},
		{`^\ud834\udd1e$`, "𝄞", "a"},
		{`^[a-z&&]$`, "a&", "-"},
		{`^[[:a]$`, "[:a", "b"},
		{`^\/\-]$`, "", "/"},
		{`^a$`, "a", "b"},
	} {
		p := expr.NewPool(1 << 16)
		any := p.Star(p.Runes([2]rune{0, utf8.MaxRune}))
		e, err := Search(p, c.pattern, UTF8, any)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, r := range c.yes {
			if !p.Match(e, string(r)) {
				t.Errorf("%s does not match %q", c.pattern, r)
			}
		}
		for _, r := range c.no {
			if p.Match(e, string(r)) {
				t.Errorf("%s matches %q", c.pattern, r)
			}
		}
	}
	for _, pattern := range []string{`(?=a)`, `(?!a)`, `(?<=a)b`, `\b`, `(a)\1`, `\a`, `(?i)a`, `a\`, `\u12`, `\p{Foo}`, `(?P<a>b)`} {
		p := expr.NewPool(1 << 16)
		if _, err := Search(p, pattern, UTF8, expr.Epsilon); err == nil {
			t.Errorf("%s is read", pattern)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, s := range []string{`^a+$`, `[^]]`, `\u{10FFFF}`, `(?:a{0,9}){9}`, `[\s\S]*`, `\ud834\udd1e`, `(^|a)$`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		p := expr.NewPool(1 << 14)
		_, any := AnyJSON(p)
		if e, err := Search(p, pattern, JSON, any); err == nil {
			p.Match(e, "ab0 \\\\é")
		}
	})
}
