package grammars

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// A constraint that is made again from its recipe, by another compiler, allows what the first one does all along a
// text, and has the same recipe. One that has accepted an id has none.
func TestRecipes(t *testing.T) {
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	compiler := func() *Compiler {
		c, err := New(tok, tok.Size())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	here, there := compiler(), compiler()
	schema, bad := here.Schema("f", []byte(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"enum":["x","y"]}},"required":["a","b"],"additionalProperties":false}`))
	if bad != nil {
		t.Fatal(bad)
	}
	pattern, bad := here.Regexp("f", "(ab|c)*d")
	if bad != nil {
		t.Fatal(bad)
	}
	notation, bad := here.GBNF("f", `root ::= "yes" | "no" root`)
	if bad != nil {
		t.Fatal(bad)
	}
	call, bad := here.Call("tools", "parameters", []prompt.Tool{{Name: "go"}}, "", prompt.Frame{Before: "<", Behind: ">"})
	if bad != nil {
		t.Fatal(bad)
	}
	one := func(c sample.Constraint, err error) sample.Constraint {
		if c == nil {
			t.Fatal(err)
		}
		return c
	}
	list := map[string]sample.Constraint{"thought": here.Thought(nil)}
	for name, make := range map[string]func() (sample.Constraint, error){
		"schema":  func() (sample.Constraint, error) { c, err := here.Constraint(schema, "", false); return c, err },
		"spaced":  func() (sample.Constraint, error) { c, err := here.Constraint(schema, "", true); return c, err },
		"after":   func() (sample.Constraint, error) { c, err := here.Constraint(schema, "</think>", true); return c, err },
		"behind":  func() (sample.Constraint, error) { c, err := here.Behind(pattern, "></think>"); return c, err },
		"pattern": func() (sample.Constraint, error) { c, err := here.Constraint(pattern, "", false); return c, err },
		"gbnf":    func() (sample.Constraint, error) { c, err := here.Constraint(notation, "", false); return c, err },
		"call":    func() (sample.Constraint, error) { c, err := here.Constraint(call, "", false); return c, err },
	} {
		list[name] = one(make())
		if name == "after" { // the others have no thought before them
			list[name+" in a thought"] = here.Thought(one(make()))
		}
	}
	for name, c := range list {
		recipe := c.(*made).Recipe()
		again, err := there.Remake(recipe)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, recipe, err)
		}
		if r := again.(*made).Recipe(); !bytes.Equal(r, recipe) {
			t.Errorf("%s: the recipe is %s, want %s", name, r, recipe)
		}
		for range 30 {
			a, errA := c.Mask()
			b, errB := again.Mask()
			if !slices.Equal(a, b) || errA != nil || errB != nil || !slices.Equal(c.Forced(), again.Forced()) {
				t.Fatalf("%s: other ids are allowed (%v, %v)", name, errA, errB)
			}
			id := rand.IntN(tok.Size())
			if a != nil {
				for n := 0; a[id/64]>>(id%64)&1 == 0; n++ {
					if id = (id + 1) % tok.Size(); n > tok.Size() {
						t.Fatalf("%s: no id is allowed", name)
					}
				}
			}
			done, err := c.Accept(id)
			if d, e := again.Accept(id); d != done || (e == nil) != (err == nil) {
				t.Fatalf("%s: %d is taken otherwise", name, id)
			}
			if done {
				break
			}
		}
		if c.(*made).Recipe() != nil || c.Clone().(*made).Recipe() != nil {
			t.Errorf("%s: a recipe in the middle of a text", name)
		}
	}
	for _, recipe := range []string{"", "{}", `{"source":{"kind":"other"}}`, `{"source":{"kind":"regexp","text":"("}}`} {
		if c, err := here.Remake([]byte(recipe)); err == nil {
			t.Errorf("%s: %v", recipe, c)
		}
	}
}
