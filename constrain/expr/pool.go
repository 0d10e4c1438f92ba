package expr

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// ID names an expression of a pool.
type ID int32

const (
	// Empty matches nothing.
	Empty ID = iota
	// Epsilon matches the empty text alone.
	Epsilon
)

// Unbounded as the most of a repetition means that there is no most.
const Unbounded = -1

// ErrTooLarge reports that a pool's limit does not suffice.
var ErrTooLarge = errors.New("too large: its automaton needs more states than the limit allows")

type kind uint8

const (
	isEmpty kind = iota
	isEpsilon
	isSet
	isConcat
	isOr
	isAnd
	isNot
	isRepeat
	isMultiple
)

// node is one expression. Its operands have smaller ids.
type node struct {
	kind     kind
	nullable bool // reports whether the empty text matches
	positive bool // reports whether neither And nor Not is within: such an expression matches something, unless it is Empty
	finite   bool // reports whether it is plain to see that it matches finitely many texts
	life     life
	a, b     ID    // Concat: a b; Not and Repeat: a
	min, max int32 // Repeat; of Set, min is the index of its set
	list     []ID  // Or and And: ascending, at least two
	multiple *multiple
	next     []ID // by class of byte; unknown where not yet asked
	first    Set  // of what matches, the first bytes, and perhaps others
}

const unknown ID = -1

// Pool holds expressions. Its zero value is not usable: see NewPool.
type Pool struct {
	nodes   []node
	index   map[string]ID
	key     []byte // scratch
	sets    []Set
	setID   map[Set]int32
	limit   int
	listed  int // operands of all unions and intersections
	left    int // steps of work that may still be done
	err     error
	classes classes
	chars   map[ID]bool // declared by Character
}

// maxListed is how many operands unions and intersections may have together, for each expression of the limit.
const maxListed = 8

// NewPool returns a pool that holds at most limit expressions.
func NewPool(limit int) *Pool {
	p := &Pool{index: map[string]ID{}, setID: map[Set]int32{}, chars: map[ID]bool{}, limit: limit, left: math.MaxInt}
	p.intern(node{kind: isEmpty, positive: true})
	p.intern(node{kind: isEpsilon, nullable: true, positive: true})
	return p
}

// Err returns ErrTooLarge once the limit was met, ErrWork once more was spent than Allow allowed, else nil.
func (p *Pool) Err() error { return p.err }

// Len returns the number of expressions.
func (p *Pool) Len() int { return len(p.nodes) }

// Memory returns how many bytes the pool takes, about.
func (p *Pool) Memory() int { return len(p.nodes)*(250+4*len(p.classes.example)) + 8*p.listed }

// Nullable reports whether e matches the empty text.
func (p *Pool) Nullable(e ID) bool { return p.nodes[e].nullable }

// intern returns the id of n, which is new or was there before.
func (p *Pool) intern(n node) ID {
	k := p.key[:0]
	k = append(k, byte(n.kind))
	k = binary.LittleEndian.AppendUint32(k, uint32(n.a))
	k = binary.LittleEndian.AppendUint32(k, uint32(n.b))
	k = binary.LittleEndian.AppendUint32(k, uint32(n.min))
	k = binary.LittleEndian.AppendUint32(k, uint32(n.max))
	for _, e := range n.list {
		k = binary.LittleEndian.AppendUint32(k, uint32(e))
	}
	if n.multiple != nil {
		k = n.multiple.append(k)
	}
	p.key = k
	if id, ok := p.index[string(k)]; ok {
		return id
	}
	if len(p.nodes) >= p.limit || p.listed > maxListed*p.limit || p.err != nil {
		if p.err == nil {
			p.err = ErrTooLarge
		}
		return Empty
	}
	id := ID(len(p.nodes))
	n.list = slices.Clone(n.list)
	p.listed += len(n.list)
	n.first, n.finite = p.firstBytes(&n), p.isFinite(&n)
	p.nodes = append(p.nodes, n)
	p.index[string(k)] = id
	return id
}

// firstBytes returns the bytes with which what n matches may begin.
func (p *Pool) firstBytes(n *node) Set {
	var s Set
	switch n.kind {
	case isSet:
		return p.sets[n.min]
	case isConcat:
		if s = p.nodes[n.a].first; p.nodes[n.a].nullable {
			s = s.Or(p.nodes[n.b].first)
		}
	case isOr:
		for _, e := range n.list {
			s = s.Or(p.nodes[e].first)
		}
	case isAnd:
		s = s.Not()
		for _, e := range n.list {
			s = s.Minus(p.nodes[e].first.Not())
		}
	case isNot, isMultiple:
		return s.Not()
	case isRepeat:
		return p.nodes[n.a].first
	}
	return s
}

func (p *Pool) isFinite(n *node) bool {
	all := func(e ID) bool { return p.nodes[e].finite }
	switch n.kind {
	case isEmpty, isEpsilon, isSet:
		return true
	case isConcat:
		return all(n.a) && all(n.b)
	case isOr:
		return !slices.ContainsFunc(n.list, func(e ID) bool { return !all(e) })
	case isAnd:
		return slices.ContainsFunc(n.list, all)
	case isRepeat:
		return n.max != Unbounded && all(n.a)
	}
	return false
}

// Bytes matches one byte of set.
func (p *Pool) Bytes(set Set) ID {
	if set == (Set{}) {
		return Empty
	}
	i, ok := p.setID[set]
	if !ok {
		i = int32(len(p.sets))
		p.sets = append(p.sets, set)
		p.setID[set] = i
		if p.classes.sets == int(i) && p.classes.keep(set) {
			p.classes.sets++
		}
	}
	return p.intern(node{kind: isSet, positive: true, min: i})
}

// Literal matches text alone.
func (p *Pool) Literal(text string) ID {
	e := Epsilon
	for i := len(text) - 1; i >= 0; i-- {
		e = p.concat(p.Bytes(Range(text[i], text[i])), e)
	}
	return e
}

// Concat matches what each of parts matches, one after the other.
func (p *Pool) Concat(parts ...ID) ID {
	e := Epsilon
	for _, part := range slices.Backward(parts) {
		e = p.concat(part, e)
	}
	return e
}

func (p *Pool) concat(a, b ID) ID {
	switch {
	case a == Empty || b == Empty:
		return Empty
	case a == Epsilon:
		return b
	case b == Epsilon:
		return a
	}
	// To the right: the first of a sequence is at hand, and there is one form of each.
	if n := &p.nodes[a]; n.kind == isConcat {
		first, rest := n.a, n.b
		return p.concat(first, p.concat(rest, b))
	}
	na, nb := &p.nodes[a], &p.nodes[b]
	return p.intern(node{kind: isConcat, a: a, b: b, nullable: na.nullable && nb.nullable, positive: na.positive && nb.positive})
}

// Or matches what any of parts matches.
func (p *Pool) Or(parts ...ID) ID {
	list := make([]ID, 0, len(parts))
	var set Set
	for _, e := range parts {
		switch n := &p.nodes[e]; n.kind {
		case isEmpty:
		case isOr:
			list = append(list, n.list...)
		default:
			list = append(list, e)
		}
	}
	p.Spend(len(list))
	rest := list[:0]
	for _, e := range list {
		if n := &p.nodes[e]; n.kind == isSet {
			set = set.Or(p.sets[n.min])
		} else {
			rest = append(rest, e)
		}
	}
	if set != (Set{}) {
		rest = append(rest, p.Bytes(set))
	}
	slices.Sort(rest)
	rest = slices.Compact(rest)
	n := node{kind: isOr, positive: true}
	for _, e := range rest {
		if p.universal(e) {
			return e
		}
		n.nullable = n.nullable || p.nodes[e].nullable
		n.positive = n.positive && p.nodes[e].positive
	}
	if n.nullable { // another one matches the empty text too
		if i, ok := slices.BinarySearch(rest, Epsilon); ok && p.anyNullable(rest[i+1:]) {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	switch len(rest) {
	case 0:
		return Empty
	case 1:
		return rest[0]
	}
	n.list = rest
	return p.intern(n)
}

func (p *Pool) anyNullable(list []ID) bool {
	return slices.ContainsFunc(list, p.Nullable)
}

// universal reports whether e is written as what matches everything.
func (p *Pool) universal(e ID) bool {
	n := &p.nodes[e]
	return n.kind == isNot && n.a == Empty
}

// And matches what all of parts match; of no parts, everything.
func (p *Pool) And(parts ...ID) ID {
	list := make([]ID, 0, len(parts))
	for _, e := range parts {
		switch n := &p.nodes[e]; {
		case e == Empty:
			return Empty
		case p.universal(e):
		case n.kind == isAnd:
			list = append(list, n.list...)
		default:
			list = append(list, e)
		}
	}
	p.Spend(len(list))
	slices.Sort(list)
	list = p.meet(slices.Compact(list))
	slices.Sort(list)
	n := node{kind: isAnd, nullable: true}
	for _, e := range list {
		if e == Empty {
			return Empty
		}
		n.nullable = n.nullable && p.nodes[e].nullable
	}
	switch {
	case len(list) == 0:
		return p.Not(Empty)
	case len(list) == 1:
		return list[0]
	case slices.Contains(list, Epsilon):
		if n.nullable {
			return Epsilon
		}
		return Empty
	}
	n.list = list
	return p.intern(n)
}

// Character declares that a text is in one way at most a sequence of texts that e matches, as it is of characters.
func (p *Pool) Character(e ID) { p.chars[e] = true }

// meet makes one of the repetitions of the same character in an intersection.
func (p *Pool) meet(list []ID) []ID {
	kept := list[:0]
	for _, e := range list {
		n := p.nodes[e]
		i := -1
		if n.kind == isRepeat && (p.chars[n.a] || p.nodes[n.a].kind == isSet) {
			i = slices.IndexFunc(kept, func(k ID) bool { o := &p.nodes[k]; return o.kind == isRepeat && o.a == n.a })
		}
		if i >= 0 {
			kept[i] = p.both(p.nodes[kept[i]], n)
		} else {
			kept = append(kept, e)
		}
	}
	return kept
}

func (p *Pool) both(o, n node) ID {
	most := o.max
	if most == Unbounded || n.max != Unbounded && n.max < most {
		most = n.max
	}
	least := max(o.min, n.min)
	if most != Unbounded && least > most {
		return Empty
	}
	return p.Repeat(o.a, int(least), int(most))
}

// Not matches what e does not.
func (p *Pool) Not(e ID) ID {
	if n := &p.nodes[e]; n.kind == isNot {
		return n.a
	}
	return p.intern(node{kind: isNot, a: e, nullable: !p.nodes[e].nullable})
}

// Repeat matches what e matches, at least least times and at most most times, which may be Unbounded, one after the other.
func (p *Pool) Repeat(e ID, least, most int) ID {
	switch {
	case most == 0, e == Epsilon:
		return Epsilon
	case e == Empty && least > 0:
		return Empty
	case e == Empty:
		return Epsilon
	case least == 1 && most == 1:
		return e
	}
	n := &p.nodes[e]
	if n.nullable {
		least = 0
	}
	if n.kind == isRepeat && least == 0 && most == Unbounded && n.min == 0 && n.max == Unbounded {
		return e
	}
	return p.intern(node{kind: isRepeat, a: e, min: int32(least), max: int32(most), nullable: least == 0, positive: n.positive})
}

// Optional matches what e matches, and the empty text.
func (p *Pool) Optional(e ID) ID { return p.Repeat(e, 0, 1) }

// Star matches e any number of times.
func (p *Pool) Star(e ID) ID { return p.Repeat(e, 0, Unbounded) }
