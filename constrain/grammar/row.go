package grammar

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// item is a production that has been read up to its dot, from a row on.
type item struct{ dot, origin int32 }

func compareItems(a, b item) int {
	return cmp.Or(cmp.Compare(a.dot, b.dot), cmp.Compare(a.origin, b.origin))
}

// row is the items at a place in the text.
type row struct {
	items     []item   // those that wait for a symbol, by symbol
	threads   []thread // the terminals that may begin here
	accepting bool     // reports whether the text may end here
}

// thread is a terminal that is being read.
type thread struct {
	row, terminal int32
	rest          expr.ID
}

func compareThreads(a, b thread) int {
	return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.terminal, b.terminal), cmp.Compare(a.rest, b.rest))
}

// waiting returns the items of r that wait for s.
func (r *Run) waiting(of int32, s Symbol) []item {
	items := r.rows[of].items
	bySymbol := func(i item, s Symbol) int { return cmp.Compare(r.g.symbols[i.dot], s) }
	low, found := slices.BinarySearchFunc(items, s, bySymbol)
	if !found {
		return nil
	}
	high := low
	for high < len(items) && r.g.symbols[items[high].dot] == s {
		high++
	}
	return items[low:high]
}

// scan appends to kernel the items of row of behind terminal t.
func (r *Run) scan(kernel []item, of, t int32) []item {
	waiting := r.waiting(of, terminal(t))
	r.pool.Spend(itemSteps * len(waiting))
	for _, i := range waiting {
		kernel = append(kernel, item{i.dot + 1, i.origin})
	}
	return kernel
}

// rowOf returns the row with the kernel, which it sorts.
func (r *Run) rowOf(kernel []item) int32 {
	slices.SortFunc(kernel, compareItems)
	kernel = slices.Compact(kernel)
	k := r.key[:0]
	for _, i := range kernel {
		k = binary.LittleEndian.AppendUint32(k, uint32(i.dot))
		k = binary.LittleEndian.AppendUint32(k, uint32(i.origin))
	}
	r.key = k
	if id, ok := r.rowIndex[string(k)]; ok {
		return id
	}
	id := int32(len(r.rows))
	r.rowIndex[string(k)] = id
	r.rows = append(r.rows, row{})
	r.close(kernel, id)
	r.kernels = append(r.kernels, slices.Clone(kernel))
	r.size += 2*len(k) + 16*len(r.rows[id].items) + 200
	return id
}

// close fills row id with what follows from its kernel.
func (r *Run) close(kernel []item, id int32) {
	g := r.g
	clear(r.seen)
	r.list = r.list[:0]
	for _, i := range kernel {
		r.add(i)
	}
	var out row
	for n := 0; n < len(r.list) && r.pool.Err() == nil; n++ {
		r.pool.Spend(itemSteps)
		i := r.list[n]
		s := g.symbols[i.dot]
		if s == end {
			if left := g.left[i.dot]; left == g.first[0] || left == g.first[1] {
				out.accepting = true
			} else if i.origin != id { // what is empty has been stepped over already
				r.complete(left, i.origin)
			}
			continue
		}
		out.items = append(out.items, i)
		if g.isNullable(s) {
			r.add(item{i.dot + 1, i.origin})
		}
		if !s.isTerminal() && r.predicted[s] != id+1 {
			r.predicted[s] = id + 1
			for _, dot := range g.starts[s] {
				r.add(item{dot, id})
			}
		}
	}
	slices.SortFunc(out.items, func(a, b item) int {
		return cmp.Or(cmp.Compare(g.symbols[a.dot], g.symbols[b.dot]), compareItems(a, b))
	})
	for n, i := range out.items {
		s := g.symbols[i.dot]
		if s.isTerminal() && (n == 0 || s != g.symbols[out.items[n-1].dot]) {
			out.threads = append(out.threads, thread{id, int32(^s), r.terminals[^s]})
		}
	}
	slices.SortFunc(out.threads, compareThreads)
	r.rows[id] = out
}

func (r *Run) add(i item) {
	if _, ok := r.seen[i]; !ok {
		r.seen[i] = struct{}{}
		r.list = append(r.list, i)
	}
}

// complete adds what follows a nonterminal that has been read from row origin on.
func (r *Run) complete(s Symbol, origin int32) {
	if top := r.topmost(origin, s); top.dot != 0 {
		r.add(top)
		return
	}
	waiting := r.waiting(origin, s)
	r.pool.Spend(itemSteps * len(waiting))
	for _, i := range waiting {
		r.add(item{i.dot + 1, i.origin})
	}
}

// place is a nonterminal that began at a row.
type place struct {
	row    int32
	symbol Symbol
}

// topmost returns the item that a chain of completions comes to, each of which completes the only item that waited, up
// to the last one; where there is no chain, an item with dot 0, which is behind no symbol.
func (r *Run) topmost(origin int32, s Symbol) item {
	var chain []place
	top := item{}
	for origin >= 0 {
		p := place{origin, s}
		known, ok := r.chains[p]
		if ok {
			if known.dot != 0 {
				top = known
			}
			break
		}
		r.chains[p] = item{} // what leads back to itself has no top
		chain = append(chain, p)
		w := r.waiting(origin, s)
		r.pool.Spend(itemSteps * len(w))
		if len(w) != 1 || r.g.symbols[w[0].dot+1] != end {
			break
		}
		top = item{w[0].dot + 1, w[0].origin}
		origin, s = w[0].origin, r.g.left[w[0].dot]
	}
	// The last of the chain has no single item that waits, so that top is of the one before it.
	for n := len(chain) - 1; n >= 0; n-- {
		w := r.waiting(chain[n].row, chain[n].symbol)
		if len(w) == 1 && r.g.symbols[w[0].dot+1] == end {
			r.chains[chain[n]] = top
		}
	}
	if len(chain) == 1 {
		return r.chains[chain[0]]
	}
	return top
}
