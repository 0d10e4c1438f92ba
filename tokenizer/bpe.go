package tokenizer

import (
	"slices"
	"sync"
	"unicode/utf8"
)

// BPE is the byte-level byte-pair encoding of the RWKV-4 Pile and Raven models (GPT-NeoX 20B).
//
// Encoding follows Hugging Face's tokenizers. Added tokens are taken out of the text first, longest first. The rest is
// brought to NFC if the file says so, and cut into words as GPT-2 cuts them. The bytes of each word are merged, lowest
// rank first, leftmost among equals. An added token in a text is that token: "<|endoftext|>" encodes to id 0, and id 0
// has these bytes. Because of NFC, decoding may give another text than the encoded one, which is canonically
// equivalent.
//
// Bytes that are not part of valid UTF-8 divide the text, and encode as their byte's token. 13 bytes occur in no UTF-8,
// and the published file has no tokens for them. They encode as U+FFFD does.
type BPE struct {
	name   string
	tokens [][]byte // by id; nil for ids that the file leaves out
	bytes  [256]int32
	merges map[pair]merge
	nfc    bool
	raw    added // matched in the text as it is
	normal added // matched in the normalised text
	words  wordCache
}

var _ Tokenizer = (*BPE)(nil)

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is the token that a pair becomes, and its rank. Pairs of lower ranks merge first.
type merge struct{ rank, id int32 }

// Name is the name given to ParseBPE, or the file's name without folder and extension.
func (t *BPE) Name() string { return t.name }

// Size is the highest id in the file plus one.
func (t *BPE) Size() int { return len(t.tokens) }

// Bytes returns the bytes of a token, added tokens included, or nil for an id that the file does not have.
func (t *BPE) Bytes(id int) []byte {
	if id < 0 || id >= len(t.tokens) {
		return nil
	}
	return t.tokens[id]
}

// AppendEncode appends the ids of text to dst.
func (t *BPE) AppendEncode(dst []int, text []byte) ([]int, error) {
	return t.raw.split(dst, text, func(dst []int, part []byte) []int {
		for len(part) > 0 {
			n := validPrefix(part)
			if n > 0 {
				dst = t.appendValid(dst, part[:n])
			} else {
				n = 1
				dst = t.appendByte(dst, part[0])
			}
			part = part[n:]
		}
		return dst
	}), nil
}

// appendByte appends the token of a byte outside UTF-8.
func (t *BPE) appendByte(dst []int, c byte) []int {
	if id := t.bytes[c]; id >= 0 {
		return append(dst, int(id))
	}
	return t.appendWord(dst, []byte(string(utf8.RuneError)))
}

// appendValid appends the ids of text without added tokens of the raw kind, which is valid UTF-8.
func (t *BPE) appendValid(dst []int, text []byte) []int {
	if t.nfc {
		text = composed(text)
	}
	return t.normal.split(dst, text, func(dst []int, part []byte) []int {
		for len(part) > 0 {
			n := wordLen(part)
			dst = t.appendWord(dst, part[:n])
			part = part[n:]
		}
		return dst
	})
}

// appendWord appends the ids of one word.
func (t *BPE) appendWord(dst []int, word []byte) []int {
	ids, ok := t.words.get(word)
	if !ok {
		ids = t.merged(word)
		t.words.put(word, ids)
	}
	for _, id := range ids {
		dst = append(dst, int(id))
	}
	return dst
}

// merged applies the merges to the bytes of a word. Every byte of valid UTF-8 has a token.
func (t *BPE) merged(word []byte) []int32 {
	ids := make([]int32, len(word))
	next := make([]int32, len(word)) // of each token the position of the one after it; a token eaten by a merge has id -1
	prev := make([]int32, len(word))
	for i, c := range word {
		ids[i], next[i], prev[i] = t.bytes[c], int32(i+1), int32(i-1)
	}
	var queue rankQueue
	find := func(i int32) (merge, bool) {
		if i < 0 || ids[i] < 0 || int(next[i]) >= len(ids) {
			return merge{}, false
		}
		m, ok := t.merges[pair{ids[i], ids[next[i]]}]
		return m, ok
	}
	push := func(i int32) {
		if m, ok := find(i); ok {
			queue.push(uint64(m.rank)<<32 | uint64(i))
		}
	}
	for i := range word {
		push(int32(i))
	}
	for len(queue) > 0 {
		key := queue.pop()
		i := int32(key & (1<<32 - 1))
		m, ok := find(i)
		if !ok || uint64(m.rank) != key>>32 { // one of the two has merged otherwise since
			continue
		}
		eaten := next[i]
		ids[i], ids[eaten], next[i] = m.id, -1, next[eaten]
		if int(next[i]) < len(ids) {
			prev[next[i]] = i
		}
		push(prev[i])
		push(i)
	}
	return slices.DeleteFunc(ids, func(id int32) bool { return id < 0 })
}

// rankQueue is a binary heap, lowest key first: rank, then position.
type rankQueue []uint64

func (q *rankQueue) push(key uint64) {
	h := append(*q, key)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if h[up] <= h[i] {
			break
		}
		h[up], h[i] = h[i], h[up]
		i = up
	}
	*q = h
}

func (q *rankQueue) pop() uint64 {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			break
		}
		if low+1 < last && h[low+1] < h[low] {
			low++
		}
		if h[i] <= h[low] {
			break
		}
		h[i], h[low] = h[low], h[i]
		i = low
	}
	*q = h
	return top
}

// wordCache remembers the ids of words, since text has few different ones. When it is full it stops growing: common
// words come early.
type wordCache struct {
	mu  sync.RWMutex
	ids map[string][]int32
}

const (
	maxCached     = 1 << 14 // words
	maxCachedWord = 64      // bytes
)

func (c *wordCache) get(word []byte) ([]int32, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids, ok := c.ids[string(word)]
	return ids, ok
}

func (c *wordCache) put(word []byte, ids []int32) {
	if len(word) > maxCachedWord {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ids == nil {
		c.ids = make(map[string][]int32)
	}
	if len(c.ids) < maxCached {
		c.ids[string(word)] = ids
	}
}
