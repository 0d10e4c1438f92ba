package constrain

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// A thought begins with the end of its tag, and goes on with more than white space before "</", wherever tokens are
// cut. Then any text is free, also that of a text's end.
func TestThought(t *testing.T) {
	begins := regexp.MustCompile(`^(>[ \t\r\n]*<?)?$|^>[ \t\r\n]*([^ \t\r\n<]|<[^/])`)
	begun := regexp.MustCompile(`^>[ \t\r\n]*([^ \t\r\n<]|<[^/])`)
	list := [][]byte{nil}
	for _, s := range []string{">", ">\n", "></", "\n", " ", "<", "</", "/", "n", "<t", "think>", "</think>", ".</", ">Hm", ">\n\n<", "嗯", ">n</"} {
		list = append(list, []byte(s))
	}
	v := pieces(t, list)
	thoughts := NewThoughts(v.Size(), v.Bytes)
	rng := rand.New(rand.NewPCG(13, 14))
	free := 0
	for range 500 {
		c, text := thoughts.Begin(nil), ""
		for range 6 {
			mask, err := c.Mask()
			if err != nil {
				t.Fatal(err)
			}
			var ids []int
			for id := range list {
				want := begins.MatchString(text + string(list[id]))
				if id == 0 {
					want = begun.MatchString(text)
				}
				if got := mask == nil || allowed(mask, id); got != want {
					t.Fatalf("%q behind %q: allowed %v, want %v", list[id], text, got, want)
				}
				if want && id > 0 {
					ids = append(ids, id)
				}
				if _, err := c.Clone().Accept(id); (err == nil) != want {
					t.Fatalf("%q behind %q: %v", list[id], text, err)
				}
			}
			if (mask == nil) != begun.MatchString(text) {
				t.Fatalf("%q: free %v", text, mask == nil)
			}
			if mask == nil {
				free++
				break
			}
			id := ids[rng.IntN(len(ids))]
			if _, err := c.Accept(id); err != nil {
				t.Fatal(err)
			}
			text += string(list[id])
		}
	}
	if free < 300 {
		t.Errorf("%d of 500 thoughts have begun", free)
	}
}

// What holds behind the thought holds beside its beginning.
func TestThoughtBesideAfter(t *testing.T) {
	g, err := JSONSchema([]byte(`{"type":"boolean"}`), jsonschema.Options{})
	if err != nil {
		t.Fatal(err)
	}
	list := [][]byte{nil, []byte("></think>no"), []byte("></think>true"), []byte(">\nHm</think>no"), []byte(">\nHm</think>"), []byte("true"), []byte(">n")}
	v := pieces(t, list)
	after, err := NewAfter(g, v, "</think>")
	if err != nil {
		t.Fatal(err)
	}
	c := NewThoughts(v.Size(), v.Bytes).Begin(after)
	for _, step := range []struct {
		allowed []bool // by id
		id      int
	}{
		{[]bool{false, false, false, false, true, false, true}, 6},
		{[]bool{false, false, true, false, true, true, true}, 4},
		{[]bool{false, false, false, false, false, true, false}, 5},
	} {
		mask, err := c.Mask()
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range step.allowed {
			if allowed(mask, id) != want {
				t.Errorf("before %q: %q is allowed: %v", list[step.id], list[id], !want)
			}
		}
		if done, err := c.Clone().Accept(step.id); err != nil || done != (step.id == 5) {
			t.Errorf("%q: %v, %v", list[step.id], done, err)
		}
		if _, err := c.Accept(step.id); err != nil {
			t.Fatal(err)
		}
	}
}
