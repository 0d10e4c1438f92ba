package jsonschema

import (
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// randomNumber returns a plain decimal, short and of few digits so that numbers meet.
func randomNumber(rng *rand.Rand) string {
	text := []string{"", "-"}[rng.IntN(2)]
	if whole := rng.IntN(130); rng.IntN(3) > 0 {
		text += strconv.Itoa(whole)
	} else {
		text += "0"
	}
	if rng.IntN(2) == 0 {
		text += "."
		for range 1 + rng.IntN(3) {
			text += string("0015"[rng.IntN(4)])
		}
	}
	return text
}

func rat(t *testing.T, text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

// Bounds, multiples and values of random numbers, beside rational arithmetic.
func TestNumbers(t *testing.T) {
	reference.Numbers(t)
	rng := rand.New(rand.NewPCG(1, 2))
	p := expr.NewPool(1 << 20)
	n := newNumbers(p)
	multiples := 0
	for range 600 {
		limit := randomNumber(rng)
		d, err := (&value{kind: isNumber, text: limit}).decimal()
		if err != nil {
			t.Fatal(err)
		}
		exact := rat(t, limit)
		if rat(t, d.String()).Cmp(exact) != 0 {
			t.Fatalf("%s became %s", limit, d)
		}
		multiple := expr.Empty
		if exact.Sign() > 0 {
			if e, ok := n.multiple(d); ok {
				multiple = e
				multiples++
			}
		}
		tests := map[string]struct {
			e    expr.ID
			want func(order int) bool
		}{
			"at least":  {n.atLeast(d, false), func(o int) bool { return o >= 0 }},
			"more than": {n.atLeast(d, true), func(o int) bool { return o > 0 }},
			"at most":   {n.atMost(d, false), func(o int) bool { return o <= 0 }},
			"less than": {n.atMost(d, true), func(o int) bool { return o < 0 }},
			"equal to":  {n.value(d), func(o int) bool { return o == 0 }},
		}
		numbers := []string{limit, limit, "0", "-0", "-0.0"}
		for range 20 {
			numbers = append(numbers, randomNumber(rng))
		}
		for _, x := range numbers {
			v := rat(t, x)
			for name, test := range tests {
				if got, want := p.Match(test.e, x), test.want(v.Cmp(exact)); got != want {
					t.Fatalf("%s is %s %s: got %v", x, name, limit, got)
				}
			}
			if multiple != expr.Empty {
				if got, want := p.Match(multiple, x), new(big.Rat).Quo(v, exact).IsInt(); got != want {
					t.Fatalf("%s is a multiple of %s: got %v", x, limit, got)
				}
			}
			if got := p.Match(n.integer, x); got != v.IsInt() {
				t.Fatalf("%s is an integer: got %v", x, got)
			}
		}
	}
	if multiples < 100 {
		t.Errorf("%d numbers had multiples", multiples)
	}
}

// Numbers with exponents become plain ones.
func TestExponents(t *testing.T) {
	for text, want := range map[string]string{
		"1e3": "1000", "1.5E+2": "150", "-2.5e-1": "-0.25", "0e9": "0", "-0.0": "0", "120e-1": "12", "1e-3": "0.001", "12.50": "12.5",
	} {
		d, err := (&value{kind: isNumber, text: text}).decimal()
		if err != nil || d.String() != want {
			t.Errorf("%s: got %s, %v, want %s", text, d, err, want)
		}
	}
	if _, err := (&value{kind: isNumber, text: "1e999999999999"}).decimal(); err == nil || !strings.Contains(err.Error(), "large") {
		t.Errorf("a number of too many digits: %v", err)
	}
}

// No schema makes the front end panic or take long; what it accepts, a machine can begin.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a","b"]}`,
		`{"oneOf":[{"type":"integer","multipleOf":3},{"not":{"maximum":5}}]}`,
		`{"items":[true,{"contains":{"const":1}}],"additionalItems":false,"minItems":1}`,
		`{"if":{"required":["x"]},"then":{"minProperties":2},"else":false,"dependencies":{"y":["x"]}}`,
		`{"pattern":"^(a|b)+$","minLength":2,"format":"ipv6"}`,
		`{"$defs":{"a":{"$anchor":"x"}},"allOf":[{"$ref":"#x"}],"unevaluatedProperties":false}`,
		`{"enum":[{"a":[1]},"x",null,1.50,-0],"uniqueItems":true,"patternProperties":{"^a":{}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, schema []byte) {
		if len(schema) > 2000 {
			return
		}
		r, start, err := compileRun(schema, Options{Blanks: 1})
		if err != nil {
			return
		}
		s := start
		for n := range 20 { // any way into the texts
			var next []int32
			for b := range 256 {
				if x := r.Step(s, byte(b)); x != 0 {
					next = append(next, x)
				}
			}
			if len(next) == 0 {
				if !r.Accepting(s) && r.End() == nil {
					t.Fatalf("%s: nothing follows, and it is no end", schema)
				}
				return
			}
			s = next[n*7%len(next)]
		}
		_ = r.End()
	})
}
