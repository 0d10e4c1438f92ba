package constrain

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// Constraints of one grammar and vocabulary are used at once, and each gets the masks that it gets alone.
func TestConcurrentUse(t *testing.T) {
	v := small(t)
	compile := func() *Grammar {
		g, err := JSONSchema([]byte(schemas[9]), jsonschema.Options{Blanks: 1})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	draw := func(c *Constraint, seed uint64) (masks []uint64, err error) {
		rng := rand.New(rand.NewPCG(seed, 0))
		for range 60 {
			mask, err := c.Mask()
			if err != nil {
				return nil, err
			}
			list := ids(mask)
			masks = append(masks, mask...)
			if done, err := c.Accept(list[rng.IntN(len(list))]); done || err != nil {
				return masks, err
			}
		}
		return masks, nil
	}
	shared := compile()
	var group sync.WaitGroup
	for seed := range uint64(8) {
		group.Add(1)
		go func() {
			defer group.Done()
			got, err := draw(New(shared, v), seed)
			if err != nil {
				t.Error(err)
			}
			want, err := draw(New(compile(), v), seed)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("draws of seed %d: other masks than alone (%v)", seed, err)
			}
		}()
	}
	group.Wait()
}

// Grammars are kept by what they are compiled from, as many as the cache has room for.
func TestCache(t *testing.T) {
	c := NewCache(2, 1<<30)
	schema := func(s string, o jsonschema.Options) *Grammar {
		g, err := c.JSONSchema([]byte(s), o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a := schema(`{}`, jsonschema.Options{})
	if schema(`{}`, jsonschema.Options{}) != a {
		t.Error("the same schema is compiled twice")
	}
	if schema(`{}`, jsonschema.Options{Blanks: 1}) == a {
		t.Error("other options, the same grammar")
	}
	if schema(`{}`, jsonschema.Options{}) != a {
		t.Error("a grammar went though there was room")
	}
	if g, err := c.Regexp("a"); err != nil || g == nil {
		t.Error(err)
	}
	if schema(`{}`, jsonschema.Options{}) != a {
		t.Error("the grammar used last went")
	}
	if g, err := c.GBNF(`root ::= "a"`); err != nil || g == nil {
		t.Error(err)
	}
	if _, err := c.GBNF(`root`); err == nil {
		t.Error("a fault was kept as a grammar")
	}
}
