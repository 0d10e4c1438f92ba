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
		if s.bytes != bytes || len(s.byID) != c.left || s.order.Len() != c.left {
			t.Errorf("%s: %d bytes, %d ids, %d in order; %d bytes are there", c.name, s.bytes, len(s.byID), s.order.Len(), bytes)
		}
		for i := range 10 {
			s.get("ann", fmt.Sprint(i), true)
		}
		if s.bytes != 0 || len(s.byID) != 0 || len(s.items) != 0 || s.order.Len() != 0 {
			t.Errorf("%s: %d bytes, %d ids are left", c.name, s.bytes, len(s.byID))
		}
	}
}
