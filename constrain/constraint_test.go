package constrain

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	oracle "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// small returns the vocabulary of the embedded model; id 0 ends a text.
func small(t testing.TB) *token.Vocabulary {
	t.Helper()
	return vocabulary(t, filepath.Join(reference.Root(t), "model", "demo", "vocab.txt"))
}

// world returns the published vocabulary.
func world(t testing.TB) *token.Vocabulary {
	t.Helper()
	return vocabulary(t, reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
}

func vocabulary(t testing.TB, path string) *token.Vocabulary {
	t.Helper()
	tok, err := tokenizer.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	size := (tok.Size() + 1023) / 1024 * 1024
	v, err := token.NewVocabulary(tok, size, []int{0}, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func allowed(mask []uint64, id int) bool { return mask[id/64]>>(id%64)&1 != 0 }

// ids returns the ids of a mask.
func ids(mask []uint64) []int {
	var out []int
	for id := range 64 * len(mask) {
		if allowed(mask, id) {
			out = append(out, id)
		}
	}
	return out
}

// naive returns the mask of c by trying each id on a clone.
func naive(t *testing.T, c *Constraint, v *token.Vocabulary) []int {
	t.Helper()
	var out []int
	for id := range v.Size() {
		if _, err := c.Clone().Accept(id); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// walk draws ids from masks, mostly short ends, until the text is done. It checks of each forced id that the mask has it.
func walk(t *testing.T, c *Constraint, v *token.Vocabulary, rng *rand.Rand, most int) string {
	t.Helper()
	var text []byte
	for n := 0; n < most; n++ {
		mask, err := c.Mask()
		if err != nil {
			t.Fatalf("behind %q: %v", text, err)
		}
		if mask == nil {
			t.Fatalf("behind %q: every id is allowed", text)
		}
		list := ids(mask)
		id := list[rng.IntN(len(list))]
		if forced := c.Forced(); len(forced) > 0 {
			if id = forced[0]; !allowed(mask, id) {
				t.Fatalf("behind %q: id %d (%q) is forced, and masked", text, id, v.Bytes(id))
			}
		} else if n > most/4 { // towards the end: what closes
			id = closing(list, v, rng)
		}
		done, err := c.Accept(id)
		if err != nil {
			t.Fatalf("behind %q: id %d of the mask: %v", text, id, err)
		}
		text = append(text, v.Bytes(id)...)
		if done || v.IsEnd(id) {
			return string(text)
		}
	}
	t.Logf("no end within %d tokens: %.80q", most, text)
	return ""
}

// closing prefers the end, brackets and quotation marks, then digits and short tokens.
func closing(list []int, v *token.Vocabulary, rng *rand.Rand) int {
	for _, want := range []string{"", `"`, "}", "]"} {
		for _, id := range list {
			if string(v.Bytes(id)) == want {
				return id
			}
		}
	}
	id := list[rng.IntN(len(list))]
	for range 20 {
		if other := list[rng.IntN(len(list))]; len(v.Bytes(other)) < len(v.Bytes(id)) {
			id = other
		}
	}
	return id
}

// schemas are of each kind of keyword, and the embedded vocabulary can spell what they want.
var schemas = []string{
	`true`,
	`{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],"additionalProperties":false}`,
	`{"type":"object","properties":{"a":{"type":"number"},"b":{"type":"boolean"},"c":{"type":"null"}},"minProperties":1,"maxProperties":2}`,
	`{"type":"array","items":{"type":"integer","multipleOf":7},"minItems":2,"maxItems":4}`,
	`{"enum":["red","green",3,null,{"x":[1,2]},-0.5,"\"\\\n"]}`,
	`{"type":"string","pattern":"^[a-f]{2,5}(-[0-9]+)?$"}`,
	`{"type":"string","minLength":3,"maxLength":8}`,
	`{"type":"string","format":"date"}`,
	`{"type":"string","format":"email","maxLength":30}`,
	`{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"},"maxItems":2}},"required":["v"],"additionalProperties":false}}}`,
	`{"anyOf":[{"type":"string","maxLength":3},{"type":"number","exclusiveMinimum":-1.5,"maximum":2.25}]}`,
	`{"oneOf":[{"properties":{"t":{"const":"a"},"x":{"type":"integer"}},"required":["t","x"],"type":"object"},{"properties":{"t":{"const":"b"}},"required":["t"],"type":"object","additionalProperties":false}]}`,
	`{"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":10},"b":{"type":"string"}}}],"type":"object","properties":{"a":{},"b":{}},"additionalProperties":{"type":"boolean"}}`,
	`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false,"minItems":1}`,
	`{"type":"array","contains":{"type":"null"},"minContains":2,"items":{"type":["null","integer"]},"maxItems":5}`,
	`{"type":"array","items":{"enum":["a","b","c"]},"uniqueItems":true,"minItems":2}`,
	`{"type":"object","patternProperties":{"^s_":{"type":"string"},"^n_":{"type":"integer"}},"additionalProperties":false,"maxProperties":3}`,
	`{"type":"object","propertyNames":{"pattern":"^[a-z]{1,4}$"},"additionalProperties":{"type":"integer"},"maxProperties":3}`,
	`{"type":"object","properties":{"card":{"type":"integer"},"address":{"type":"string"}},"dependentRequired":{"card":["address"]},"additionalProperties":false}`,
	`{"type":"object","properties":{"k":{"enum":["x","y"]},"v":{}},"required":["k","v"],"if":{"properties":{"k":{"const":"x"}}},"then":{"properties":{"v":{"type":"integer"}}},"else":{"properties":{"v":{"type":"string"}}},"additionalProperties":false}`,
	`{"type":"object","allOf":[{"properties":{"a":{"type":"integer"}}}],"properties":{"b":{"type":"integer"}},"unevaluatedProperties":false}`,
	`{"not":{"type":["object","array","string"]},"multipleOf":0.25}`,
}

// validator returns another package's validator of schema.
func validator(t *testing.T, schema string) *oracle.Schema {
	t.Helper()
	compiler := oracle.NewCompiler()
	compiler.AssertFormat()
	doc, err := oracle.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever is drawn from the masks, the text that comes of it parses and is valid, for a validator of others.
func TestWalksAreValid(t *testing.T) {
	reference.Numbers(t)
	v := small(t)
	rng := rand.New(rand.NewPCG(3, 4))
	ended := 0
	for _, schema := range schemas {
		valid := validator(t, schema)
		for _, blanks := range []int{0, 2} {
			g, err := JSONSchema([]byte(schema), jsonschema.Options{Blanks: blanks})
			if err != nil {
				t.Fatalf("%s: %v", schema, err)
			}
			for range 12 {
				text := walk(t, New(g, v), v, rng, 400)
				if text == "" {
					continue
				}
				ended++
				instance, err := oracle.UnmarshalJSON(strings.NewReader(text))
				if err != nil {
					t.Fatalf("%s: %q: %v", schema, text, err)
				}
				if err := valid.Validate(instance); err != nil {
					t.Errorf("%s: %q: %v", schema, text, err)
				}
			}
		}
	}
	if want := len(schemas) * 2 * 10; ended < want {
		t.Errorf("%d texts ended, want %d", ended, want)
	}
}

// A mask has the ids that Accept takes, and no other.
func TestMaskIsAccept(t *testing.T) {
	reference.Numbers(t)
	v := small(t)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, schema := range schemas {
		g, err := JSONSchema([]byte(schema), jsonschema.Options{Blanks: 1})
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		c := New(g, v)
		for range 12 {
			mask, err := c.Mask()
			if err != nil {
				t.Fatal(err)
			}
			list := ids(mask)
			if want := naive(t, c, v); !slices.Equal(list, want) {
				t.Fatalf("%s: mask of %d ids, %d are accepted", schema, len(list), len(want))
			}
			if done, err := c.Accept(list[rng.IntN(len(list))]); done || err != nil {
				break
			}
		}
	}
}

// Regular expressions: what the masks lead to matches, for the standard library.
func TestRegexp(t *testing.T) {
	reference.Numbers(t)
	v := small(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for _, pattern := range []string{
		`[a-z]{1,12}`, `(?i)yes|no`, `\d{4}-\d{2}-\d{2}`, `(ab|a)(bc|c)?`, `^x+$|y`, `[^\x00-\x7f]{1,3}z`, `(a|b)*abb`, `.{0,20}!`, `\p{Lu}\p{Ll}+`,
	} {
		g, err := Regexp(pattern)
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile(`^(?:` + pattern + `)$`)
		for range 20 {
			if text := walk(t, New(g, v), v, rng, 200); text != "" && !whole.MatchString(text) {
				t.Errorf("%s: %q does not match", pattern, text)
			}
		}
	}
	for _, pattern := range []string{`a\bb`, `(`, `(?=a)`, `(^a)+`, `[]`} {
		if _, err := Regexp(pattern); err == nil || !strings.Contains(err.Error(), "pattern") {
			t.Errorf("%s: got %v", pattern, err)
		}
	}
}

// Tokens with the same bytes are allowed alike, and where no token fits the mask is an error.
func TestTwinsAndDeadEnds(t *testing.T) {
	g, err := Regexp("abc")
	if err != nil {
		t.Fatal(err)
	}
	c := New(g, pieces(t, [][]byte{nil, []byte("a"), []byte("a"), []byte("ab"), []byte("x")}))
	mask, err := c.Mask()
	if err != nil || !slices.Equal(ids(mask), []int{1, 2, 3}) {
		t.Fatalf("%v, %v", ids(mask), err)
	}
	if _, err := c.Accept(3); err != nil {
		t.Fatal(err)
	}
	if mask, err := c.Mask(); err == nil {
		t.Errorf("no token is c, mask %v", ids(mask))
	}
}

// What is forced is what encoding the text gives, and reads it to the end.
func TestForced(t *testing.T) {
	v := world(t)
	tok, err := tokenizer.Open(reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := JSONSchema([]byte(`{"type":"object","properties":{"function_name":{"const":"get_current_weather"},"unit":{"enum":["celsius","fahrenheit"]}},`+
		`"required":["function_name","unit"],"additionalProperties":false}`), jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"function_name":"get_current_weather","unit":"celsius"}`
	want, err := tokenizer.Encode(tok, text)
	if err != nil {
		t.Fatal(err)
	}
	c := New(g, v)
	forced := 0
	for n := 0; n < len(want); {
		list := c.Forced()
		forced += len(list)
		for _, id := range append(slices.Clone(list), want[n+len(list):]...)[:max(len(list), 1)] {
			if id != want[n] {
				t.Fatalf("token %d: forced %q, encoded %q", n, v.Bytes(id), v.Bytes(want[n]))
			}
			if _, err := c.Accept(id); err != nil {
				t.Fatal(err)
			}
			n++
		}
	}
	if 2*forced < len(want) {
		t.Errorf("%d of %d tokens forced", forced, len(want))
	}
}

// Errors name what is wrong and wrap what they are of.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ schema, want string }{
		{`{"type":"object","properties":{"a/b":{"uniqueItems":true}}}`, "/properties/a~1b/uniqueItems"},
		{`{"minimun":3}`, "/minimun"},
		{`{"type":"strin"}`, "/type"},
		{`{"$ref":"#/$defs/a"}`, "/$ref"},
		{`{"allOf":[{"$ref":"#"}]}`, "lead back"},
		{`{`, "JSON"},
		{`{"a":1,"a":2}`, "/a"},
	} {
		_, err := JSONSchema([]byte(c.schema), jsonschema.Options{})
		var e *jsonschema.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.schema, err, c.want)
		}
	}
	for _, schema := range []string{
		`{"type":"array","minItems":99999999999}`,
		`{"type":"array","minItems":10000000}`,
		`{"type":"object","maxProperties":1000000,"minProperties":1000000,"required":["a"]}`,
		`{"minimum":1e99999}`,
		`{"allOf":[` + strings.Repeat(`{"anyOf":[{"required":["a"]},{"required":["b"]},{"required":["c"]}]},`, 20) + `true]}`,
		strings.Repeat(`{"items":`, 1000) + `{}` + strings.Repeat(`}`, 1000),
		`{"enum":["` + strings.Repeat("x", 3<<20) + `"]}`,
		`{"type":"array","contains":{"type":"integer"},"minContains":100,"maxContains":200,"minItems":300,"maxItems":500}`,
		`{"type":"string","minLength":500000,"pattern":"^[a-z]+$"}`,
		`{"oneOf":[` + strings.Repeat(`{"required":["a"]},`, 2000) + `{"required":["b"]}]}`,
	} {
		if _, err := JSONSchema([]byte(schema), jsonschema.Options{}); err == nil || !strings.Contains(err.Error(), "large") &&
			!strings.Contains(err.Error(), "same") {
			t.Errorf("%.60s: got %v", schema, err)
		}
	}
}
