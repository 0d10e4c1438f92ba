package replicas

import (
	"fmt"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// In every dialect and way to think, the next turn finds the answer before it under the key by which it was kept, and
// no other conversation or user does.
func TestPlaces(t *testing.T) {
	for _, d := range prompt.Dialects() {
		for _, think := range prompt.Thinks() {
			if think != prompt.ThinkOff && !d.Thinks {
				continue
			}
			for _, system := range []string{"", "Be kind."} {
				for _, tools := range []bool{false, true} {
					if tools && d.Tools == prompt.NoTools {
						continue
					}
					name := fmt.Sprintf("%s, thinking %q, system %q, tools %t", d.Name, think, system, tools)
					o := prompt.Options{Think: think}
					if tools {
						o.Tools = []prompt.Tool{{Name: "look"}}
					}
					places := func(user string, said ...string) []place {
						t.Helper()
						var list []prompt.Message
						if system != "" {
							list = append(list, prompt.Message{Role: prompt.System, Content: system})
						}
						for i, text := range said {
							list = append(list, prompt.Message{Role: []prompt.Role{prompt.User, prompt.Assistant}[i%2], Content: text})
						}
						p, err := d.Render(list, o)
						if err != nil {
							t.Fatalf("%s: %v", name, err)
						}
						return placesOf(&api.Request{User: user, Segments: p.Segments})
					}
					answers := func(list []place) (keys []string) {
						for _, p := range list {
							if p.answer != "" {
								keys = append(keys, p.key)
							}
						}
						return keys
					}
					first, second := ownKey(places("ann", "Hello!")), ownKey(places("ann", "Hello!", "Hi.", "More!"))
					got := answers(places("ann", "Hello!", "Hi.", "More!", "No.", "Yes!"))
					if got = got[max(len(got)-2, 0):]; !slices.Equal(got, []string{first, second}) { // behind what a dialect begins with
						t.Errorf("%s: the answers are at %q, want %q", name, got, []string{first, second})
					}
					for _, other := range []string{ownKey(places("bob", "Hello!")), ownKey(places("ann", "Hello?")), second} {
						if other == first {
							t.Errorf("%s: another text has the key of the first", name)
						}
					}
				}
			}
		}
	}
	for _, ids := range [][]int{{1, 2}, {258}, {1, 2, 0}, {}} {
		if key := ownKey(placesOf(&api.Request{IDs: ids})); key == ownKey(placesOf(&api.Request{IDs: []int{1, 2, 3}})) {
			t.Errorf("%v: the key of other ids", ids)
		}
	}
}

// What was used last is remembered, up to a number.
func TestRecent(t *testing.T) {
	r := newRecent[string](2)
	r.set("a", "1")
	r.set("b", "2")
	r.get("a")
	r.set("c", "3")
	r.set("c", "4")
	if r.get("a") != "1" || r.get("b") != "" || r.get("c") != "4" || r.order.Len() != 2 || len(r.byKey) != 2 {
		t.Errorf("%q, %q, %q of %d", r.get("a"), r.get("b"), r.get("c"), r.order.Len())
	}
}

// A text that ends by its length lacks the last token of its answer, which was drawn and not fed.
func TestSpells(t *testing.T) {
	for _, c := range []struct {
		text, answer string
		want         bool
	}{
		{"User: Hi!\n\nAssistant: He ran home.", "He ran home.", true},
		{"User: Hi!\n\nAssistant: He ran home", "He ran home.", true},
		{"User: Hi!\n\nAssistant: He ran", "He ran home", true},
		{"User: Hi!\n\nAssistant: She sat", "He ran home", false},
	} {
		if got := spells(c.text, c.answer); got != c.want {
			t.Errorf("%q, %q: got %v, want %v", c.text, c.answer, got, c.want)
		}
	}
}
