package radix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// name is a value that says what sequence it belongs to.
type name struct{ ids []int }

// prefixes returns the members of set, keyed by their ids, that ids begins with, shortest first.
func prefixes(set map[string][]int, ids []int) [][]int {
	var found [][]int
	for _, p := range set {
		if len(p) <= len(ids) && slices.Equal(p, ids[:len(p)]) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b []int) int { return len(a) - len(b) })
	return found
}

// check compares all that the tree says with a plain set of sequences.
func check(t *testing.T, tree *Tree[name], set map[string][]int, probe []int) {
	t.Helper()
	var walked [][]int
	shared := tree.Walk(probe, func(n *Node[name]) { walked = append(walked, n.Value.ids) })
	want := 0
	for _, p := range set {
		k := 0
		for k < len(p) && k < len(probe) && p[k] == probe[k] {
			k++
		}
		want = max(want, k)
	}
	if shared != want || !slices.EqualFunc(walked, prefixes(set, probe), slices.Equal) {
		t.Fatalf("walk of %v: %v, %d shared, want %v, %d", probe, walked, shared, prefixes(set, probe), want)
	}
	if tree.Empty() != (len(set) == 0) {
		t.Fatalf("empty %v with %d sequences", tree.Empty(), len(set))
	}
	seen := 0
	var visit func(n *Node[name])
	visit = func(n *Node[name]) {
		if n.up != nil && n.Value == nil && len(n.down) < 2 {
			t.Fatalf("node %v is neither a value nor a parting", n.IDs())
		}
		if n.Value != nil {
			seen++
			ids := n.Value.ids
			if !slices.Equal(n.IDs(), ids) || n.Depth() != len(ids) {
				t.Fatalf("node of %v says %v, depth %d", ids, n.IDs(), n.Depth())
			}
			above := prefixes(set, ids)
			above = above[:len(above)-1]
			if a := n.Above(); (a == nil) != (len(above) == 0) || a != nil && !slices.Equal(a.Value.ids, above[len(above)-1]) {
				t.Fatalf("above %v: got %v, want the last of %v", ids, a, above)
			}
			below := map[string]bool{}
			n.Below(func(b *Node[name]) { below[fmt.Sprint(b.Value.ids)] = true })
			for key, p := range set {
				over := prefixes(set, p)
				if is := len(over) > 1 && slices.Equal(over[len(over)-2], ids); is != below[key] {
					t.Fatalf("%v below %v: got %v, want %v", p, ids, below[key], is)
				}
			}
		}
		for _, d := range n.down {
			visit(d)
		}
	}
	visit(&tree.root)
	tree.All(func(n *Node[name]) {
		if _, ok := set[fmt.Sprint(n.Value.ids)]; !ok {
			t.Fatalf("All visits %v", n.Value.ids)
		}
		seen--
	})
	if seen != 0 {
		t.Fatalf("All leaves out %d", seen)
	}
	tree.All(func(*Node[name]) { seen++ })
	if seen != len(set) {
		t.Fatalf("%d values in the tree, want %d", seen, len(set))
	}
}

// A tree that sequences come and go in says what a plain set of them says.
func TestTreeAgainstSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		var tree Tree[name]
		nodes, set := map[string]*Node[name]{}, map[string][]int{}
		for range 120 {
			ids := make([]int, r.IntN(9))
			for i := range ids {
				ids[i] = r.IntN(2)
			}
			key := fmt.Sprint(ids)
			if n := nodes[key]; n != nil && r.IntN(3) > 0 {
				n.Value = nil
				tree.Remove(n)
				delete(nodes, key)
				delete(set, key)
			} else if n == nil && len(set) < 25 {
				n := tree.Insert(ids)
				n.Value = &name{ids}
				nodes[key], set[key] = n, ids
			}
			if r.IntN(3) == 0 {
				check(t, &tree, set, append(ids, r.IntN(2), r.IntN(2)))
			}
		}
		for key, n := range nodes {
			n.Value = nil
			tree.Remove(n)
			delete(set, key)
			check(t, &tree, set, []int{0, 1, 0})
		}
	}
}

// A cursor reaches every sequence and every place on the way to one, and no other.
func TestCursor(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var tree Tree[name]
	want := map[string]bool{"[]": false} // by place: is it a sequence
	for range 30 {
		ids := make([]int, 1+r.IntN(8))
		for i := range ids {
			ids[i] = r.IntN(3)
		}
		tree.Insert(ids).Value = &name{ids}
		for k := range ids {
			if place := fmt.Sprint(ids[:k]); !want[place] {
				want[place] = false
			}
		}
		want[fmt.Sprint(ids)] = true
	}
	got := map[string]bool{}
	var visit func(c Cursor[name], ids []int)
	visit = func(c Cursor[name], ids []int) {
		got[fmt.Sprint(ids)] = c.Node() != nil
		next := map[int]bool{}
		c.Next(func(id int, to Cursor[name]) {
			next[id] = true
			visit(to, append(ids[:len(ids):len(ids)], id))
		})
		for id := range 4 {
			if to, ok := c.Follow(id); ok != next[id] || ok && fmt.Sprint(to.Node()) == "" {
				t.Errorf("after %v: Follow(%d) is %v, Next has %v", ids, id, ok, next)
			}
		}
	}
	visit(tree.Root(), nil)
	if !maps.Equal(got, want) {
		t.Errorf("places %v, want %v", got, want)
	}
}
