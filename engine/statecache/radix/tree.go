package radix

// Tree maps sequences of ids, each at least 0 and below 2^32, to values. The zero Tree is empty.
type Tree[E any] struct {
	root    Node[E]
	changes int
}

// Changes returns a number that is another after each Insert and Remove. A Cursor of before is not good then.
func (t *Tree[E]) Changes() int { return t.changes }

// Node is one sequence: the ids from the root to it.
type Node[E any] struct {
	Value *E // nil for none; Remove takes a node without one out of the tree

	edge  []uint32 // ids from the node above
	up    *Node[E]
	down  map[uint32]*Node[E] // by the first id of their edges
	depth int
}

// Depth returns the number of ids of the sequence.
func (n *Node[E]) Depth() int { return n.depth }

// IDs returns the ids of the sequence.
func (n *Node[E]) IDs() []int {
	ids := make([]int, n.depth)
	for ; n.up != nil; n = n.up {
		for i, id := range n.edge {
			ids[n.up.depth+i] = int(id)
		}
	}
	return ids
}

// Above returns the longest proper prefix of the sequence that has a value, or nil.
func (n *Node[E]) Above() *Node[E] {
	for n = n.up; n != nil; n = n.up {
		if n.Value != nil {
			return n
		}
	}
	return nil
}

// Below visits each longer sequence with a value that has no other between itself and this one.
func (n *Node[E]) Below(visit func(*Node[E])) {
	for _, d := range n.down {
		if d.Value != nil {
			visit(d)
		} else {
			d.Below(visit)
		}
	}
}

// All visits all nodes with values, in no order.
func (t *Tree[E]) All(visit func(*Node[E])) { t.root.all(visit) }

func (n *Node[E]) all(visit func(*Node[E])) {
	if n.Value != nil {
		visit(n)
	}
	for _, d := range n.down {
		d.all(visit)
	}
}

// Branches returns in how many ways longer sequences go on.
func (n *Node[E]) Branches() int { return len(n.down) }

// Empty reports whether the tree has no value.
func (t *Tree[E]) Empty() bool { return len(t.root.down) == 0 && t.root.Value == nil }

// Insert returns the node of ids, which it makes if there is none. The caller gives it a value.
func (t *Tree[E]) Insert(ids []int) *Node[E] {
	t.changes++
	n := &t.root
	for n.depth < len(ids) {
		rest := ids[n.depth:]
		d := n.down[uint32(rest[0])]
		if d == nil {
			return n.add(&Node[E]{edge: narrow(rest)})
		}
		if k := shared(d.edge, rest); k < len(d.edge) {
			d = d.split(k)
		}
		n = d
	}
	return n
}

// Remove takes a node whose value is gone out of the tree, unless sequences part there, and the places that are none
// then.
func (t *Tree[E]) Remove(n *Node[E]) {
	t.changes++
	for n.up != nil && n.Value == nil && len(n.down) < 2 {
		up := n.up
		if len(n.down) == 1 {
			n.join()
			return
		}
		delete(up.down, n.edge[0])
		n = up
	}
}

// Walk follows ids from the root and visits the nodes with values that it comes by, shortest first. It returns how many
// ids some sequence of the tree begins with.
func (t *Tree[E]) Walk(ids []int, visit func(*Node[E])) int {
	n := &t.root
	for {
		if n.Value != nil {
			visit(n)
		}
		rest := ids[n.depth:]
		if len(rest) == 0 {
			return n.depth
		}
		d := n.down[uint32(rest[0])]
		if d == nil {
			return n.depth
		}
		if k := shared(d.edge, rest); k < len(d.edge) {
			return n.depth + k
		}
		n = d
	}
}

// add puts d below n and returns it.
func (n *Node[E]) add(d *Node[E]) *Node[E] {
	if n.down == nil {
		n.down = make(map[uint32]*Node[E], 1)
	}
	n.down[d.edge[0]] = d
	d.up, d.depth = n, n.depth+len(d.edge)
	return d
}

// split makes a node k ids down the edge of d and returns it.
func (d *Node[E]) split(k int) *Node[E] {
	middle := d.up.add(&Node[E]{edge: d.edge[:k:k]})
	d.edge = d.edge[k:]
	middle.add(d)
	return middle
}

// join makes one edge of a node without a value and the only one below it.
func (n *Node[E]) join() {
	for _, d := range n.down {
		d.edge = append(n.edge[:len(n.edge):len(n.edge)], d.edge...)
		n.up.add(d)
	}
}

// shared returns how many ids an edge and a sequence begin with both.
func shared(edge []uint32, ids []int) int {
	n := min(len(edge), len(ids))
	for i := range n {
		if int(edge[i]) != ids[i] {
			return i
		}
	}
	return n
}

func narrow(ids []int) []uint32 {
	out := make([]uint32, len(ids))
	for i, id := range ids {
		out[i] = uint32(id)
	}
	return out
}

// Cursor is a place in a tree: a node, or somewhere on the way to it. It is good until the tree changes: then it may
// lead to any place, or to one that the tree no longer has.
type Cursor[E any] struct {
	node *Node[E]
	at   int // ids of the node's edge that lie behind
}

// Root returns the place where all sequences begin.
func (t *Tree[E]) Root() Cursor[E] { return Cursor[E]{node: &t.root} }

// Node returns the node with a value that lies here, or nil.
func (c Cursor[E]) Node() *Node[E] {
	if c.at < len(c.node.edge) || c.node.Value == nil {
		return nil
	}
	return c.node
}

// Next visits the ids by which sequences go on from here, in no order, and the places they lead to.
func (c Cursor[E]) Next(visit func(id int, to Cursor[E])) {
	if c.at < len(c.node.edge) {
		visit(int(c.node.edge[c.at]), Cursor[E]{c.node, c.at + 1})
		return
	}
	for id, d := range c.node.down {
		visit(int(id), Cursor[E]{d, 1})
	}
}

// Follow returns the place that id leads to, and whether a sequence goes on so.
func (c Cursor[E]) Follow(id int) (Cursor[E], bool) {
	if c.at < len(c.node.edge) {
		return Cursor[E]{c.node, c.at + 1}, int(c.node.edge[c.at]) == id
	}
	d := c.node.down[uint32(id)]
	return Cursor[E]{d, 1}, d != nil
}
