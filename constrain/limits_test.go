package constrain

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// hard is a schema of few bytes whose patterns have a state of their intersection for each set of places.
func hard() []byte {
	var patterns []string
	for n := 8; n < 16; n++ {
		patterns = append(patterns, fmt.Sprintf(`{"pattern":"(a|b)*a(a|b){%d}"}`, n))
	}
	return []byte(`{"type":"string","allOf":[` + strings.Join(patterns, ",") + `]}`)
}

// A schema that takes long to compile is refused for the work, long before it takes seconds.
func TestCompilingIsBounded(t *testing.T) {
	_, err := JSONSchema(hard(), jsonschema.Options{})
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "more work than the limit allows") {
		t.Errorf("got %v, want that it takes too much work", err)
	}
}

// A constraint whose grammar is too ambiguous ends with an error that says so, before a mask takes long.
func TestAmbiguousText(t *testing.T) {
	v := small(t)
	g, err := GBNF("root ::= root root | [a-z ] | [a-m ] | [ -~]")
	if err != nil {
		t.Fatal(err)
	}
	c := New(g, v)
	id := -1
	for i := range v.Size() {
		if string(v.Bytes(i)) == "a" {
			id = i
		}
	}
	for range 5000 {
		if _, err = c.Mask(); err == nil {
			_, err = c.Accept(id)
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "too ambiguous for the text so far") {
		t.Errorf("got %v, want that the grammar is too ambiguous", err)
	}
}
