package expr

import "math/bits"

// Set is a set of bytes: bit b%64 of word b/64 stands for byte b.
type Set [4]uint64

// Range returns the bytes from low to high.
func Range(low, high byte) Set {
	var s Set
	for b := int(low); b <= int(high); b++ {
		s[b/64] |= 1 << (b % 64)
	}
	return s
}

// Of returns the bytes of text.
func Of(text string) Set {
	var s Set
	for i := range len(text) {
		s = s.Or(Range(text[i], text[i]))
	}
	return s
}

// Has reports whether b is in the set.
func (s Set) Has(b byte) bool { return s[b/64]>>(b%64)&1 != 0 }

// Or returns what is in either.
func (s Set) Or(t Set) Set { return Set{s[0] | t[0], s[1] | t[1], s[2] | t[2], s[3] | t[3]} }

// Not returns what is not in the set.
func (s Set) Not() Set { return Set{^s[0], ^s[1], ^s[2], ^s[3]} }

// Minus returns what is in s and not in t.
func (s Set) Minus(t Set) Set { return Set{s[0] &^ t[0], s[1] &^ t[1], s[2] &^ t[2], s[3] &^ t[3]} }

// Len returns the number of bytes in the set.
func (s Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// classes divides the bytes into those that no set of a pool tells apart.
type classes struct {
	sets    int // how many sets were there
	of      [256]uint8
	example []byte // of each class, one byte
}

// keep reports whether set tells no bytes of a class apart, as a union of sets does not.
func (c *classes) keep(set Set) bool {
	if len(c.example) == 0 {
		return false
	}
	for b, class := range c.of {
		if set.Has(byte(b)) != set.Has(c.example[class]) {
			return false
		}
	}
	return true
}

// refine makes the classes of the pool's sets, if there are new ones. Steps that were kept are by other classes then, and go.
func (p *Pool) refine() {
	if p.classes.sets == len(p.sets) && p.classes.example != nil {
		return
	}
	c := classes{sets: len(p.sets)}
	type signature struct {
		class uint8
		in    bool
	}
	count := 1
	for _, s := range p.sets {
		ids := map[signature]uint8{}
		for b := range 256 {
			k := signature{c.of[b], s.Has(byte(b))}
			id, ok := ids[k]
			if !ok {
				id = uint8(len(ids))
				ids[k] = id
			}
			c.of[b] = id
		}
		count = len(ids)
	}
	c.example = make([]byte, count)
	for b := 255; b >= 0; b-- {
		c.example[c.of[b]] = byte(b)
	}
	p.classes = c
	for i := range p.nodes {
		p.nodes[i].next = nil
	}
}

// Classes returns, of each byte, the number of its class, and how many classes there are: bytes of one class lead every
// expression of the pool to the same one. They stay as they are until an expression with a new set is made.
func (p *Pool) Classes() (of [256]uint8, count int) {
	p.refine()
	return p.classes.of, len(p.classes.example)
}
