package openai

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// The oldest responses make room, by number and by bytes, and what is counted is what is there.
func TestKeptResponses(t *testing.T) {
	one := func(i, bytes int) *keptResponse {
		return &keptResponse{id: fmt.Sprint(i), user: "ann", messages: []prompt.Message{{Content: strings.Repeat("x", bytes)}},
			items: []OutputItem{{ID: fmt.Sprint("item ", i)}}}
	}
	for _, c := range []struct {
		name      string
		most      int
		mostBytes int64
		left      int // responses of 10
	}{
		{"all", 10, 1 << 20, 10},
		{"number", 3, 1 << 20, 3},
		{"bytes", 10, 4 * one(0, 1000).size(), 4},
		{"too large", 10, one(0, 1000).size() - 1, 0},
	} {
		s := newKeptResponses(c.most, c.mostBytes)
		for i := range 10 {
			s.add(one(i, 1000))
		}
		bytes := int64(0)
		for i := range 10 {
			k := s.get("ann", fmt.Sprint(i), false)
			if (k != nil) != (i >= 10-c.left) {
				t.Errorf("%s: response %d is there: %v", c.name, i, k != nil)
			}
			if k != nil {
				bytes += k.size()
			}
			if item := s.item("ann", fmt.Sprint("item ", i)); (item != nil) != (k != nil) || s.item("bob", fmt.Sprint("item ", i)) != nil {
				t.Errorf("%s: item %d: %v", c.name, i, item)
			}
			if s.get("bob", fmt.Sprint(i), true) != nil {
				t.Errorf("%s: another user has response %d", c.name, i)
			}
		}
		if s.bytes != bytes || len(s.byID) != c.left {
			t.Errorf("%s: %d bytes, %d ids; %d bytes are there", c.name, s.bytes, len(s.byID), bytes)
		}
		for i := range 10 {
			s.get("ann", fmt.Sprint(i), true)
		}
		if s.bytes != 0 || len(s.byID) != 0 || len(s.items) != 0 || len(s.users) != 0 {
			t.Errorf("%s: %d bytes, %d ids are left", c.name, s.bytes, len(s.byID))
		}
	}
}

// A user who makes many responses, or large ones, has their own forgotten and nobody else's.
func TestKeptShares(t *testing.T) {
	one := func(user string, i, bytes int) *keptResponse {
		return &keptResponse{id: fmt.Sprint(user, i), user: user, messages: []prompt.Message{{Content: strings.Repeat("x", bytes)}}}
	}
	for name, s := range map[string]*keptResponses{
		"number": newKeptResponses(5, 1<<20),
		"bytes":  newKeptResponses(1000, 5000),
	} {
		s.add(one("ann", 0, 500))
		s.add(one("ann", 1, 500))
		for i := range 100 {
			s.add(one("bob", i, 1000))
		}
		for i := range 2 {
			if s.get("ann", fmt.Sprint("ann", i), false) == nil {
				t.Errorf("%s: response %d of ann was forgotten for those of bob", name, i)
			}
		}
		if s.get("bob", "bob99", false) == nil || s.get("bob", "bob0", false) != nil {
			t.Errorf("%s: not the oldest of bob were forgotten", name)
		}
	}
}

func TestMetadata(t *testing.T) {
	many := map[string]string{}
	for i := range 16 {
		many[fmt.Sprint(i)] = strings.Repeat("ä", 512)
	}
	if err := checkMetadata(many); err != nil {
		t.Error(err)
	}
	many["16"] = ""
	for want, m := range map[string]map[string]string{
		"want at most 16 entries, got 17":                       many,
		"want names of at most 64 characters, got one of 65":    {strings.Repeat("ä", 65): ""},
		"want values of at most 512 characters, got one of 513": {"a": strings.Repeat("ä", 513)},
	} {
		if err := checkMetadata(m); err == nil || err.Status != 400 || err.Param != "metadata" || !strings.Contains(err.Message, want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

// What a client sends beside the texts of items does not stay, and what stays is counted: bodies of any form cannot fill
// the memory.
func TestKeptItems(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	parts := strings.Repeat(`{"type":"text","text":""},`, 10_000)
	for name, c := range map[string]struct {
		body  string
		bytes int64 // that are counted at least
	}{
		"names":   {`[{"role":"user","content":"a","name":"` + large + `","call_id":"` + large + `"}]`, 0},
		"outputs": {`[{"type":"function_call_output","call_id":"c","name":"` + large + `","output":[{"type":"text","text":"` + large + `"},{"type":"text","text":"` + large + `"}]}]`, 4 << 20},
		"calls":   {`[{"type":"function_call","call_id":"c","name":"f","arguments":"{}","content":"` + large + `"}]`, 0},
		"parts":   {`[{"role":"user","content":[` + parts[:len(parts)-1] + `]}]`, 1 << 20},
	} {
		var l Items
		if err := json.Unmarshal([]byte(c.body), &l); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		messages, items, err := l.messages(func(string) *OutputItem { return nil })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		k := keptResponse{input: items, messages: messages}
		text, e := json.Marshal(items)
		if e != nil {
			t.Fatal(e)
		}
		if size := k.size(); size < c.bytes || size < int64(len(text)) || c.bytes == 0 && len(text) > 1000 {
			t.Errorf("%s: %d bytes of items are kept, %d are counted", name, len(text), size)
		}
	}
}

// The log-probabilities of an answer are in its body alone: they count once, and what is kept beside it does not hold them.
func TestKeptLogprobs(t *testing.T) {
	text := "Hello"
	said := []OutputItem{{Content: []OutputPart{{Text: text, Logprobs: []ChatToken{{TokenLogprob: TokenLogprob{Token: text}}}}}}}
	kept := plain(said)
	list, all := kept[0].Content[0].Logprobs, said[0].Content[0].Logprobs
	if list == nil || len(list) > 0 || reflect.ValueOf(list).Pointer() == reflect.ValueOf(all).Pointer() {
		t.Errorf("%v is kept of %v", list, said)
	}
	if len(said[0].Content[0].Logprobs) != 1 {
		t.Errorf("the answer lost its log-probabilities: %v", said)
	}
	k := keptResponse{items: kept}
	before := k.size()
	const body = 1 << 20
	if k.body = make([]byte, body); k.size() != before+body {
		t.Errorf("a body of %d bytes counts as %d", body, k.size()-before)
	}
	k.items = plain([]OutputItem{{Content: []OutputPart{{Text: strings.Repeat("x", 1000)}}}})
	if size := k.size(); size != before+body+1000-int64(len(text)) {
		t.Errorf("an item of 1000 bytes more counts as %d", size-before-body)
	}
}

// Many small texts of one message take time by their number, and not by its square.
func TestManyTexts(t *testing.T) {
	const n = 300_000
	for name, one := range map[string]string{"reasoning": `{"type":"reasoning","content":"abc"},`, "output": `{"type":"text","text":"abc"},`} {
		body := strings.TrimSuffix(strings.Repeat(one, n), ",")
		want := strings.Repeat("abc", n)
		if name == "output" {
			body, want = `{"type":"function_call_output","call_id":"c","output":[`+body+`]}`, strings.TrimSuffix(strings.Repeat("abc\n", n), "\n")
		}
		var l Items
		if err := json.Unmarshal([]byte("["+body+"]"), &l); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		messages, _, err := l.messages(func(string) *OutputItem { return nil })
		if err != nil || len(messages) != 1 || messages[0].Reasoning+messages[0].Content != want {
			t.Errorf("%s: %d messages, %v", name, len(messages), err)
		}
		if d := time.Since(start); d > reference.AtMost(10*time.Second) {
			t.Errorf("%s: %v for %d texts", name, d, n)
		}
	}
}
