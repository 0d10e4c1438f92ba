package jsonschema

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	oracle "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// pick returns one of list.
func pick(rng *rand.Rand, list ...any) any { return list[rng.IntN(len(list))] }

// randomSchema returns a schema of a few keywords whose instances are of a small world: names a, b and c, short arrays, small
// numbers.
func randomSchema(rng *rand.Rand, depth int) any {
	if depth == 0 {
		return pick(rng, true, false, map[string]any{}, map[string]any{"type": "integer"}, map[string]any{"type": []any{"string", "null"}},
			map[string]any{"const": 1}, map[string]any{"enum": []any{"a", 2, nil}}, map[string]any{"minimum": 2}, map[string]any{"maxLength": 1},
			map[string]any{"multipleOf": 2}, map[string]any{"pattern": "^a"}, map[string]any{"type": "object"}, map[string]any{"type": "array"})
	}
	sub := func() any { return randomSchema(rng, depth-1) }
	list := func() []any {
		out := []any{sub()}
		for range rng.IntN(2) {
			out = append(out, sub())
		}
		return out
	}
	s := map[string]any{}
	for range 1 + rng.IntN(3) {
		switch rng.IntN(24) {
		case 0:
			s["type"] = pick(rng, "object", "array", "string", "number", "boolean", "integer")
		case 1, 2:
			s["properties"] = map[string]any{"a": sub(), "b": sub()}
		case 3:
			s["required"] = pick(rng, []any{"a"}, []any{"b", "a"}, []any{"c"})
		case 4:
			s["additionalProperties"] = sub()
		case 5:
			s["patternProperties"] = map[string]any{pick(rng, "a|c", "^b", ".").(string): sub()}
		case 6:
			s["propertyNames"] = sub()
		case 7:
			s["minProperties"] = rng.IntN(3)
		case 8:
			s["maxProperties"] = rng.IntN(3)
		case 9:
			s["items"] = sub()
		case 10:
			s["prefixItems"] = list()
		case 11:
			s["minItems"] = rng.IntN(4)
		case 12:
			s["maxItems"] = rng.IntN(4)
		case 13:
			s["contains"] = sub()
			if rng.IntN(2) == 0 {
				s[pick(rng, "minContains", "maxContains").(string)] = rng.IntN(3)
			}
		case 14:
			s["allOf"] = list()
		case 15:
			s["anyOf"] = list()
		case 16:
			s["oneOf"] = list()
		case 17, 18:
			s["not"] = sub()
		case 19:
			s["if"], s["then"], s["else"] = sub(), sub(), sub()
		case 20:
			s["dependentRequired"] = map[string]any{"a": []any{"b"}}
		case 21:
			s["dependentSchemas"] = map[string]any{"b": sub()}
		case 22:
			s[pick(rng, "unevaluatedProperties", "unevaluatedItems").(string)] = pick(rng, false, sub())
		case 23:
			s[pick(rng, "minimum", "exclusiveMaximum", "multipleOf").(string)] = pick(rng, 1, 2, 1.5)
		}
	}
	return s
}

func randomInstance(rng *rand.Rand, depth int) any {
	switch n := rng.IntN(8); {
	case n == 0 && depth > 0, n == 1 && depth > 0:
		out := map[string]any{}
		for _, name := range []string{"a", "b", "c"} {
			if rng.IntN(2) == 0 {
				out[name] = randomInstance(rng, depth-1)
			}
		}
		return out
	case n == 2 && depth > 0, n == 3 && depth > 0:
		out := []any{}
		for range rng.IntN(4) {
			out = append(out, randomInstance(rng, depth-1))
		}
		return out
	}
	return pick(rng, nil, true, false, 0, 1, 2, 3, -1, 1.5, "", "a", "ab", "b")
}

// Random schemas of all keywords in each other: what is accepted holds exactly, as a validator of others tells.
func TestRandomSchemas(t *testing.T) {
	reference.Numbers(t)
	rng := rand.New(rand.NewPCG(1, 2))
	accepted, refused, valid := 0, 0, 0
	for range 700 {
		schema, err := json.Marshal(randomSchema(rng, 1+rng.IntN(2)))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := oracle.UnmarshalJSON(strings.NewReader(string(schema)))
		if err != nil {
			t.Fatal(err)
		}
		compiler := oracle.NewCompiler()
		if err := compiler.AddResource("schema.json", doc); err != nil {
			t.Fatal(err)
		}
		validator, err := compiler.Compile("schema.json")
		if err != nil {
			t.Fatal(err)
		}
		r, start, err := compileRun(schema, Options{})
		if e := (*Error)(nil); errors.As(err, &e) {
			refused++
			continue
		}
		accepted++
		for range 40 {
			instance, jerr := json.Marshal(randomInstance(rng, 2))
			if jerr != nil {
				t.Fatal(jerr)
			}
			v, jerr := oracle.UnmarshalJSON(strings.NewReader(string(instance)))
			if jerr != nil {
				t.Fatal(jerr)
			}
			want := validator.Validate(v) == nil
			if want {
				valid++
			}
			got := false
			if !errors.Is(err, grammar.ErrEmpty) {
				if got, jerr = allows(r, start, schema, instance); jerr != nil {
					t.Fatal(jerr)
				}
			}
			if got != want {
				t.Fatalf("%s: %s: allowed %v, valid %v", schema, instance, got, want)
			}
		}
	}
	t.Logf("%d accepted, %d refused, %d valid instances", accepted, refused, valid)
	if accepted < 500 || valid < 5000 {
		t.Errorf("%d schemas accepted, %d instances valid", accepted, valid)
	}
}
