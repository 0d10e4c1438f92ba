package token

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// node is a byte of a token, behind the bytes of the nodes above it.
type node struct {
	token int32  // that ends here, or -1
	skip  int32  // nodes of the part of the trie that begins here, itself among them
	depth uint16 // 0 for first bytes
	value byte
}

// Vocabulary is what masks need of a tokenizer. It is safe for concurrent use.
type Vocabulary struct {
	size   int // ids
	ends   []int
	text   func(id int) []byte
	greedy bool // reports whether encoding takes the longest token at each position

	all   []node
	rest  []node            // the trie of those that are not pure
	pure  []uint64          // tokens that are text of a string, of at most pureChars characters
	twins map[int32][]int32 // further tokens with the bytes of one in the trie
	depth int

	masks cache
}

// pureChars is the most characters of tokens that are pure: few are longer, and a string with room for fewer is rare.
const pureChars = 16

// Pure makes the expression of a character of pure tokens: any that stands in a JSON string as it is, except DEL.
func Pure(p *expr.Pool) expr.ID {
	return p.Runes([2]rune{' ', '!'}, [2]rune{'#', '['}, [2]rune{']', '~'}, [2]rune{0x80, utf8.MaxRune})
}

func isPure(text []byte) bool {
	if !utf8.Valid(text) || utf8.RuneCount(text) > pureChars {
		return false
	}
	return !slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b == '"' || b == '\\' || b == 0x7f })
}

// NewVocabulary returns the vocabulary of tok for a model of size ids. ends are the ids that end a text; their own bytes, where
// they have some, are no part of any text. Masks are kept up to budget bytes.
func NewVocabulary(tok tokenizer.Tokenizer, size int, ends []int, budget int) (*Vocabulary, error) {
	for _, id := range ends {
		if id < 0 || id >= size {
			return nil, fmt.Errorf("constrain: id of a text's end: want 0 to %d, got %d", size-1, id)
		}
	}
	if tok.Size() > size {
		return nil, fmt.Errorf("constrain: want a model with at least the tokenizer's %d ids, got %d", tok.Size(), size)
	}
	v := &Vocabulary{size: size, ends: slices.Clone(ends), text: tok.Bytes, twins: map[int32][]int32{}}
	switch tok.(type) {
	case *tokenizer.World, tokenizer.Bytes, *tokenizer.Bytes:
		v.greedy = true
	}
	var ids []int32
	for id := range tok.Size() {
		if len(tok.Bytes(id)) > 0 && !slices.Contains(ends, id) {
			ids = append(ids, int32(id))
		}
	}
	bytesOf := func(id int32) []byte { return tok.Bytes(int(id)) }
	slices.SortStableFunc(ids, func(a, b int32) int { return bytes.Compare(bytesOf(a), bytesOf(b)) })
	v.pure = make([]uint64, v.words())
	unique, others := ids[:0], []int32(nil)
	for _, id := range ids {
		if n := len(unique); n > 0 && bytes.Equal(bytesOf(unique[n-1]), bytesOf(id)) {
			v.twins[unique[n-1]] = append(v.twins[unique[n-1]], id)
			continue
		}
		unique = append(unique, id)
		if isPure(bytesOf(id)) {
			set(v.pure, id)
		} else {
			others = append(others, id)
		}
		v.depth = max(v.depth, len(bytesOf(id)))
	}
	v.all, v.rest = trie(unique, bytesOf), trie(others, bytesOf)
	v.masks.budget = budget
	return v, nil
}

func (v *Vocabulary) words() int { return (v.size + 63) / 64 }

// Size returns the number of ids of a mask.
func (v *Vocabulary) Size() int { return v.size }

// Bytes returns what id stands for in a text: nothing, if it ends one.
func (v *Vocabulary) Bytes(id int) []byte {
	if v.IsEnd(id) {
		return nil
	}
	return v.text(id)
}

// IsEnd reports whether id ends a text.
func (v *Vocabulary) IsEnd(id int) bool { return slices.Contains(v.ends, id) }

func set(mask []uint64, id int32) { mask[id/64] |= 1 << (id % 64) }

// trie returns the trie of tokens that are sorted by their bytes, all different and not empty.
func trie(ids []int32, bytesOf func(int32) []byte) []node {
	var nodes []node
	var path []int // indices of the nodes above, by depth
	var last []byte
	leave := func(depth int) {
		for len(path) > depth {
			top := path[len(path)-1]
			nodes[top].skip = int32(len(nodes) - top)
			path = path[:len(path)-1]
		}
	}
	for _, id := range ids {
		text := bytesOf(id)
		common := 0
		for common < min(len(last), len(text)) && last[common] == text[common] {
			common++
		}
		leave(common)
		for d := common; d < len(text); d++ {
			path = append(path, len(nodes))
			nodes = append(nodes, node{token: -1, depth: uint16(d), value: text[d]})
		}
		nodes[path[len(path)-1]].token = id
		last = text
	}
	leave(0)
	return nodes
}
