package tokenizer

import "math/bits"

// trie is a double-array trie over bytes. The child of a node by byte c lies in cells[base+c]. No two nodes have the
// same base. So a cell at base+c with label c can only be that node's child, and the label serves as the check. A cell
// without a node is all zero: reached by byte 0 it gives no token and no way on, as it must.
type trie struct {
	cells []cell // every base+255 is inside
	root  uint32 // base of the root
}

// cell is one node as seen from its parent.
type cell struct {
	base uint32 // of its children; 0 = none
	tag  uint32 // id<<8 | label; id 0 = no token ends here
}

// longest returns the id and length of the longest token that text, which is not empty, starts with: 0 and 0 if there
// is none.
func (t *trie) longest(text []byte) (id uint32, n int) {
	base := t.root
	for i, c := range text {
		next := t.cells[base+uint32(c)]
		if byte(next.tag) != c {
			break
		}
		if found := next.tag >> 8; found != 0 {
			id, n = found, i+1
		}
		base = next.base
		if base == 0 {
			break
		}
	}
	return id, n
}

// span is a run of sorted tokens, each longer than the first depth bytes, which they share: an inner node.
type span struct {
	cell   uint32 // the node's own
	lo, hi uint32
	depth  uint32
}

// newTrie builds the trie of tokens, at least one, whose bytes lie in text: in byte order, all different and not empty.
func newTrie(text []byte, tokens []entry) trie {
	b := trieBuilder{trie: trie{cells: make([]cell, 1, 2*len(tokens))}}
	var labels []byte
	var starts []uint32
	// Level by level: the upper ones, which every match visits, stay together. Cell 0, which is no node's child, stands
	// in for the root's.
	level, next := []span{{hi: uint32(len(tokens))}}, []span(nil)
	for len(level) > 0 {
		for _, s := range level {
			labels, starts = labels[:0], starts[:0]
			for i := s.lo; i < s.hi; i++ {
				if c := text[tokens[i].start+s.depth]; len(labels) == 0 || labels[len(labels)-1] != c {
					labels, starts = append(labels, c), append(starts, i)
				}
			}
			starts = append(starts, s.hi)
			base := b.place(labels)
			b.cells[s.cell].base = base
			for i, c := range labels {
				child := span{cell: base + uint32(c), lo: starts[i], hi: starts[i+1], depth: s.depth + 1}
				tag := uint32(c)
				if t := tokens[child.lo]; t.end-t.start == child.depth { // the shortest comes first
					tag |= t.id << 8
					child.lo++
				}
				b.cells[child.cell].tag = tag
				if child.lo < child.hi {
					next = append(next, child)
				}
			}
		}
		level, next = next, level[:0]
	}
	b.root, b.cells[0] = b.cells[0].base, cell{}
	return b.trie
}

// trieBuilder finds places for the children of one node after the other.
type trieBuilder struct {
	trie
	used  []uint64 // bit per cell: taken
	bases []uint64 // bit per cell: is some node's base
	from  [2]int   // the cells where to start looking, for one child and for several
	end   int      // cells from here on are free
}

// maxTries bounds the search for gaps. After so many gaps that do not fit, the search no longer looks at the cells
// before them. So no vocabulary makes the building slow.
const maxTries = 8

// place returns a base that no node has, whose cells for all labels are free, and takes these cells.
func (b *trieBuilder) place(labels []byte) uint32 {
	from := &b.from[min(len(labels)-1, 1)]
	first := int(labels[0])
	*from = b.nextFree(*from)
	at := max(*from, first+1) // base 0 means no children
	for try := 1; ; try++ {
		at = b.nextFree(at)
		if base := at - first; b.fits(base, labels) {
			b.take(base, labels)
			return uint32(base)
		}
		if try == maxTries {
			*from = at
			at = max(at, b.end)
		}
		at++
	}
}

// nextFree returns the first free cell from at on.
func (b *trieBuilder) nextFree(at int) int {
	for w := at / 64; w < len(b.used); w++ {
		free := ^b.used[w]
		if w == at/64 {
			free &= ^uint64(0) << (at % 64)
		}
		if free != 0 {
			return 64*w + bits.TrailingZeros64(free)
		}
	}
	return max(at, 64*len(b.used))
}

func (b *trieBuilder) fits(base int, labels []byte) bool {
	if has(b.bases, base) {
		return false
	}
	for _, c := range labels {
		if has(b.used, base+int(c)) {
			return false
		}
	}
	return true
}

func (b *trieBuilder) take(base int, labels []byte) {
	if need := base + 256; need > len(b.cells) {
		words := need/64 + 1
		b.cells = append(b.cells, make([]cell, 64*words-len(b.cells))...)
		b.used = append(b.used, make([]uint64, words-len(b.used))...)
		b.bases = append(b.bases, make([]uint64, words-len(b.bases))...)
	}
	b.bases[base/64] |= 1 << (base % 64)
	for _, c := range labels {
		at := base + int(c)
		b.used[at/64] |= 1 << (at % 64)
		b.end = max(b.end, at+1)
	}
}

// has reports whether bit i is set; bits past the end are not.
func has(set []uint64, i int) bool { return i/64 < len(set) && set[i/64]>>(i%64)&1 != 0 }
