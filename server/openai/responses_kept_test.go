package openai

import (
	"fmt"
	"strings"
	"testing"

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
