package token

import (
	"container/list"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
)

// Mask returns the ids that may come in state s of m: those whose bytes are allowed and, where the text may end, those that
// end it. The words are shared and must not be written. The state that comes with it is s as m has it now.
func (v *Vocabulary) Mask(m *grammar.Machine, s grammar.State) ([]uint64, grammar.State, error) {
	r, id := m.Begin(s)
	s = r.State(id)
	key := maskKey{r.Serial, id}
	mask := v.masks.get(key)
	if mask == nil {
		mask = v.make(r, id)
	}
	if err := r.End(); err != nil {
		return nil, s, err
	}
	v.masks.put(key, mask)
	return mask, s, nil
}

func (v *Vocabulary) make(r *grammar.Run, id int32) []uint64 {
	mask := make([]uint64, v.words())
	nodes := v.all
	if r.Absorbs(id, pureChars) {
		copy(mask, v.pure)
		nodes = v.rest
	}
	v.walk(r, id, nodes, mask)
	for token, twins := range v.twins {
		if mask[token/64]>>(token%64)&1 != 0 {
			for _, twin := range twins {
				set(mask, twin)
			}
		}
	}
	if r.Accepting(id) {
		for _, end := range v.ends {
			set(mask, int32(end))
		}
	}
	return mask
}

// walk adds to mask the tokens of a trie that are allowed from state id on.
func (v *Vocabulary) walk(r *grammar.Run, id int32, nodes []node, mask []uint64) {
	states := make([]int32, v.depth+1)
	states[0] = id
	for i := 0; i < len(nodes); {
		n := &nodes[i]
		next := r.Step(states[n.depth], n.value)
		if next == grammar.Dead {
			i += int(n.skip)
			continue
		}
		if n.token >= 0 {
			set(mask, n.token)
		}
		states[n.depth+1] = next
		i++
	}
}

// maxForced is how many bytes Forced looks ahead.
const maxForced = 256

// Forced returns the ids that must come in state s of m, as encoding would have them whatever comes later: of the bytes that must
// come, those tokens which no token begins alike and goes on. There are none if the tokenizer does not take the longest
// token at each position.
func (v *Vocabulary) Forced(m *grammar.Machine, s grammar.State) ([]int, grammar.State, error) {
	if !v.greedy {
		return nil, s, nil
	}
	r, id := m.Begin(s)
	s = r.State(id)
	var text []byte
	for len(text) < maxForced {
		b, ok := r.Only(id)
		if !ok {
			break
		}
		text = append(text, b)
		id = r.Step(id, b)
	}
	final := len(text) > 0 && r.Accepting(id) && r.Final(id)
	if err := r.End(); err != nil {
		return nil, s, err
	}
	return v.cut(text, final), s, nil
}

// cut returns the tokens of text for as long as they do not depend on what follows it; nothing does if final.
func (v *Vocabulary) cut(text []byte, final bool) []int {
	var ids []int
	for len(text) > 0 {
		id, n, open := v.longest(text)
		if id < 0 || open && !final {
			break
		}
		ids = append(ids, int(id))
		text = text[n:]
	}
	return ids
}

// longest returns the longest token that text begins with, or -1, and its length. It is open if text, going on, could begin
// with a longer one.
func (v *Vocabulary) longest(text []byte) (id int32, n int, open bool) {
	id = -1
	low, high := 0, len(v.all)
	for d, b := range text {
		for low < high && v.all[low].value != b {
			low += int(v.all[low].skip)
		}
		if low >= high {
			return id, n, false
		}
		high = low + int(v.all[low].skip)
		if t := v.all[low].token; t >= 0 {
			id, n = t, d+1
		}
		low++
	}
	return id, n, low < high
}

// maskKey is a state of a run.
type maskKey struct {
	run   uint64
	state int32
}

// cache keeps the masks that were used last.
type cache struct {
	mu     sync.Mutex
	budget int // bytes
	bytes  int
	byUse  list.List // of *entry, the last used first
	by     map[maskKey]*list.Element
}

type entry struct {
	key  maskKey
	mask []uint64
}

func (c *cache) get(k maskKey) []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.by[k]
	if !ok {
		return nil
	}
	c.byUse.MoveToFront(e)
	return e.Value.(*entry).mask
}

func (c *cache) put(k maskKey, mask []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.by[k]; ok {
		return
	}
	if c.by == nil {
		c.by = map[maskKey]*list.Element{}
	}
	c.by[k] = c.byUse.PushFront(&entry{k, mask})
	c.bytes += 8 * len(mask)
	for c.bytes > c.budget && c.byUse.Len() > 1 {
		last := c.byUse.Back()
		e := c.byUse.Remove(last).(*entry)
		delete(c.by, e.key)
		c.bytes -= 8 * len(e.mask)
	}
}
