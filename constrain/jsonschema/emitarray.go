package jsonschema

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
)

// emitArray adds the productions of a to s. The state of a list is the number of its items and, of each "contains", how many
// items have matched: numbers stop where more make no difference.
func (c *compiler) emitArray(s grammar.Symbol, a *array) error {
	if a.unique != nil && (a.max < 0 || a.max > 1) && !(a.items.isFalse() && len(a.prefix) <= 1) {
		return c.emitUnique(s, a)
	}
	if a.items.isFalse() {
		limited := *a
		limited.max, limited.items = least(a.max, len(a.prefix)), everything
		a = &limited
	}
	q := c.newSequence()
	stop := max(len(a.prefix), a.min)
	start := make([]int, 1+len(a.contains))
	seen := map[string]bool{}
	queue := [][]int{start}
	for len(queue) > 0 {
		from := queue[0]
		queue = queue[1:]
		if c.accepts(a, from) {
			if from[0] == 0 {
				c.b.Add(s, c.signs.emptyArray)
			} else {
				c.b.Add(s, c.signs.openArray, q.at(from...), c.signs.closeArray)
			}
		}
		if from[0] == a.max {
			continue
		}
		for _, step := range c.steps(a, from) {
			to := step.counts
			to[0] = from[0] + 1
			if a.max < 0 {
				to[0] = min(to[0], max(stop, 1))
			}
			q.add(from, to, from[0] == 0, c.symbol(step.goal))
			k := fmt.Sprint(to)
			if !seen[k] {
				seen[k] = true
				queue = append(queue, to)
			}
		}
		if err := c.b.Err(); err != nil {
			return tooLarge(a.at.at, err.Error())
		}
	}
	return nil
}

// accepts reports whether an array may end in a state.
func (c *compiler) accepts(a *array, state []int) bool {
	if state[0] < a.min {
		return false
	}
	for i, k := range a.contains {
		if state[i+1] < k.min {
			return false
		}
	}
	return true
}

// step is what an item may be, and the state behind it.
type step struct {
	goal   goal
	counts []int
}

// steps returns what may come in a state. Where matches are not limited, an item that matches may be counted or not.
func (c *compiler) steps(a *array, from []int) []step {
	out := []step{{a.item(from[0]), slices.Clone(from)}}
	for i, k := range a.contains {
		var next []step
		for _, s := range out {
			n := s.counts[i+1]
			if k.max < 0 {
				next = append(next, s)
			} else {
				for _, not := range k.goal.not() {
					next = append(next, step{s.goal.and(not), s.counts})
				}
			}
			if k.max >= 0 && n == k.max || k.max < 0 && n == k.min {
				continue
			}
			counted := slices.Clone(s.counts)
			counted[i+1]++
			next = append(next, step{s.goal.and(k.goal), counted})
		}
		out = next
	}
	for i := range out {
		out[i].counts = slices.Clone(out[i].counts)
	}
	return slices.DeleteFunc(out, func(s step) bool { return s.goal.isFalse() })
}

// maxUnique bounds the values of items that have to differ.
const maxUnique = 6

// emitUnique adds arrays whose items all differ: that takes items of a few values, which are listed.
func (c *compiler) emitUnique(s grammar.Symbol, a *array) error {
	list, ok := c.listed(a.items)
	if !ok || len(a.prefix) > 0 || len(a.contains) > 0 {
		return unsupported(a.unique, "items are no values of a short enum")
	}
	q := c.newSequence()
	for used := range 1 << len(list) {
		n := 0
		for i := range list {
			n += used >> i & 1
		}
		if n >= a.min && (a.max < 0 || n <= a.max) {
			if n == 0 {
				c.b.Add(s, c.signs.emptyArray)
			} else {
				c.b.Add(s, c.signs.openArray, q.at(used), c.signs.closeArray)
			}
		}
		for i, g := range list {
			if used>>i&1 == 0 && n != a.max {
				q.add([]int{used}, []int{used | 1<<i}, used == 0, c.symbol(a.items.and(g)))
			}
		}
	}
	return nil
}

// listed returns goals of single, different values, of which a value that matches g matches one.
func (c *compiler) listed(g goal) ([]goal, bool) {
	for _, n := range g.list {
		if n <= never {
			continue
		}
		e := c.schemas[n].fields["enum"]
		if e == nil || e.kind != isArray {
			continue
		}
		var out []goal
		known := map[string]bool{}
		for _, v := range e.items {
			k, err := v.canonical()
			if err != nil {
				return nil, false
			}
			if !known[k] {
				known[k] = true
				out = append(out, c.literalGoal(v))
			}
		}
		return out, len(out) <= maxUnique
	}
	return nil, false
}
