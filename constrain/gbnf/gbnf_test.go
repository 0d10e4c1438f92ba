package gbnf

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
)

func read(text string) (*grammar.Machine, error) {
	b, start, err := Compile(text, 1<<16)
	if err != nil {
		return nil, err
	}
	g, err := b.Grammar(start)
	if err != nil {
		return nil, err
	}
	return grammar.NewMachine(g, token.Pure, 1<<24), nil
}

func matches(m *grammar.Machine, text string) bool {
	r, id := m.Begin(m.Start(false))
	defer func() { _ = r.End() }()
	id, n := r.Advance(id, []byte(text))
	return n == len(text) && r.Accepting(id)
}

const calculation = `
# sums and products, left-recursive
root  ::= (sum "=" blank? number "\n")+
sum   ::= sum blank? [-+*/] blank? term
        | term
term  ::= name | number | "(" blank? sum blank? ")"
name  ::= [a-z] [a-z0-9_]*   # then a blank
number::= [0-9]+
blank ::= [ \t\n]+
`

// The parts of the notation, with texts that match and texts that do not.
func TestNotation(t *testing.T) {
	for _, c := range []struct {
		grammar string
		yes, no []string
	}{
		{`root ::= "a" | "b" "c"?`, []string{"a", "b", "bc"}, []string{"", "c", "ab", "ac"}},
		{"root ::= \"a\" |\n \"b\"", []string{"a", "b"}, []string{"ab"}},
		{"root ::= x\nx ::= (\"a\"\n | \"b\" # or\n)\n", []string{"a", "b"}, []string{""}},
		{`root ::= [^"\\\x00-\x1f]* "\"" [\]\-a-c-]`, []string{`é"]`, `"-`, `"b`}, []string{`\"]`, "\n\"a", `""`}},
		{`root ::= "\u00e9\U0001d11e\x41\t" .`, []string{"é𝄞A\t\n", "é𝄞A\t𝄞"}, []string{"é𝄞A\t", "é𝄞A\tab"}},
		{`root ::= x{2} y{1,} z{0,2} "ab"{2,3}` + "\nx ::= \"x\" | \"(\" x \")\"\ny::=\"y\"\nz::=\"z\" | \"[\" z \"]\"",
			[]string{"xxyabab", "x(x)yyy[z]zababab", "xxyzabab"}, []string{"xyabab", "xxxyabab", "xxyab", "xxyzzzabab", "xxyabababab"}},
		{`root ::= a*` + "\n" + `a ::= "a" | "" | a a`, []string{"", "a", "aaaa"}, []string{"b"}},
		{`root ::= "(" root ")" root |`, []string{"", "()", "(())()"}, []string{"(", ")(", "())"}},
		{calculation, []string{"1+2=3\n", "a * ( b_1-2 )/x= 17\nx=1\n"}, []string{"", "1+2=3", "1+=3\n", "=3\n", "(1+2=3\n"}},
		{`root ::= ("a" | b)+? "."` + "\nb ::= \"b\" b?", []string{".", "abba."}, []string{"ab"}},
	} {
		m, err := read(c.grammar)
		if err != nil {
			t.Errorf("%s: %v", c.grammar, err)
			continue
		}
		for _, text := range c.yes {
			if !matches(m, text) {
				t.Errorf("%s: %q does not match", c.grammar, text)
			}
		}
		for _, text := range c.no {
			if matches(m, text) {
				t.Errorf("%s: %q matches", c.grammar, text)
			}
		}
	}
}

// Faults are named with their place.
func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"root ::= x":                            `line 1, column 10: want a rule x, got none`,
		"rot ::= \"a\"":                         `line 1, column 12: want a rule "root", got none`,
		"root ::= \"a\nx":                       `the end of the literal`,
		"root ::= [a":                           `the end of the set`,
		"root ::= [b-a]":                        `want a range upwards`,
		"root ::= (\"a\"":                       `want a closing parenthesis, got the end`,
		"root ::= \"a\")":                       `line 1, column 13`,
		"root = \"a\"":                          `want ::=`,
		"root ::= \"\\q\"":                      `want an escape`,
		"root ::= \"\\u12\"":                    `hexadecimal digits`,
		"root ::= \"a\"{3,2}":                   `want at least 3, got 2`,
		"root ::= \"a\"{9999}":                  `too large`,
		"root ::= \"a\"\nroot ::= \"b\"":        `line 2, column 1: want each rule once`,
		"root ::= <think>":                      `tokens by name are not supported`,
		"root ::= \"a\" $":                      `want a literal`,
		"root ::= \"\xff\"":                     `want UTF-8`,
		"root ::= " + strings.Repeat("(", 1000): `too large`,
	} {
		_, _, err := Compile(text, 1<<16)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
	if _, err := read("root ::= \"a\" root"); !errors.Is(err, grammar.ErrEmpty) {
		t.Errorf("a grammar without an end: %v", err)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(calculation)
	f.Add(`root ::= ("a"{2,3} | [^b-d\n]? .)* root?`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		m, err := read(text)
		if err == nil {
			matches(m, "a+b=3\n")
		}
	})
}
