package statecache

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// white is the white space that clients trim.
const white = " \t\r\n\v\f\u00a0\u3000"

// whiteBegun reports whether text, which is not empty, is the beginning of a character of white space.
func whiteBegun(text string) bool {
	return strings.HasPrefix("\u00a0", text) || strings.HasPrefix("\u3000", text)
}

// speller finds sequences in the tree that spell an answer.
type speller struct {
	m       *matcher
	text    string     // the answer without white space at its beginning
	content string     // text without white space at its end; not empty
	last    bool       // reports whether no segment follows: then white space at the end is part of the content
	whole   []spelling // of the whole content, by their ids; no more than may be tried
	begun   []spelling // up to checkpoints within the content, those with the shortest tails; one of each tail
}

// spelling is the part of a sequence in the tree that spells an answer.
type spelling struct {
	ids   []int
	white string // the white space that ids spell behind the content
	tail  string // the end of the answer that ids do not spell
}

// spell follows all sequences from the place at. The ids before it spell i bytes of the content, or white space before
// it that ends in begun, the beginning of a character. It may write behind ids.
func (a *speller) spell(at radix.Cursor[entry], ids []int, i int, begun string) {
	at.Next(func(id int, to radix.Cursor[entry]) {
		text := begun + string(a.m.tok.Bytes(id))
		if len(text) == len(begun) {
			return // an id without bytes spells nothing
		}
		ids := append(ids, id)
		if i == 0 {
			text = strings.TrimLeft(text, white)
			if text != "" && whiteBegun(text) {
				a.spell(to, ids, 0, text)
				return
			}
		}
		n := min(len(text), len(a.content)-i)
		if text[:n] != a.content[i:i+n] {
			return
		}
		if i+n == len(a.content) {
			a.found(to, ids, text[n:])
			return
		}
		if to.Node() != nil {
			a.begins(ids, a.text[i+n:])
		}
		a.spell(to, ids, i+n, "")
	})
}

// found notes ids that spell the content and ended behind it, if ended is white space. It then follows the sequences
// that go on with more white space.
func (a *speller) found(at radix.Cursor[entry], ids []int, ended string) {
	begun := strings.TrimLeft(ended, white)
	if a.last && ended != "" || begun != "" && !whiteBegun(begun) {
		return
	}
	if begun == "" {
		a.add(ids, ended)
	}
	at.Next(func(id int, to radix.Cursor[entry]) {
		if text := string(a.m.tok.Bytes(id)); text != "" {
			a.found(to, append(ids, id), ended+text)
		}
	})
}

// add notes ids that spell the content and the white space behind it.
func (a *speller) add(ids []int, ended string) {
	k, _ := slices.BinarySearchFunc(a.whole, ids, func(s spelling, ids []int) int { return slices.Compare(s.ids, ids) })
	a.whole = insert(a.whole, k, mostTried+1, spelling{ids: ids, white: ended})
}

// begins notes ids that lead to a checkpoint within the content, and the text behind. With the same text behind, all
// leave the same to read, and the order of ids decides.
func (a *speller) begins(ids []int, tail string) {
	k, found := slices.BinarySearchFunc(a.begun, len(tail), func(s spelling, n int) int { return cmp.Compare(len(s.tail), n) })
	switch {
	case !found:
		a.begun = insert(a.begun, k, mostBegun, spelling{ids: ids, tail: tail})
	case slices.Compare(ids, a.begun[k].ids) < 0:
		a.begun[k].ids = slices.Clone(ids)
	}
}

// insert puts s at place k, with ids of its own, and keeps the first most.
func insert(list []spelling, k, most int, s spelling) []spelling {
	if k == most {
		return list
	}
	s.ids = slices.Clone(s.ids)
	list = slices.Insert(list, k, s)
	return list[:min(len(list), most)]
}
