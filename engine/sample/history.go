package sample

import "slices"

// minCount is the size below which a decayed count becomes 0. It is far above subnormal numbers, which devices treat
// differently.
const minCount = 1.0 / (1 << 40)

// history is which ids a sequence has accepted. The zero value stays empty.
type history struct {
	counts   []float32 // (vocab) decayed count of each accepted id
	seen     []uint64  // (vocab bits) ids in accepted
	accepted []int32   // ids accepted so far, each once
}

func newHistory(vocab int) history {
	return history{counts: make([]float32, vocab), seen: make([]uint64, (vocab+63)/64)}
}

// accept lets all counts decay and id's grow, unless ids says that it is free.
func (h *history) accept(id int, decay float32, ids *Vocabulary) {
	if h.counts == nil {
		return
	}
	for _, other := range h.accepted {
		if h.counts[other] *= decay; h.counts[other] < minCount {
			h.counts[other] = 0
		}
	}
	h.note(id)
	if !ids.free(id) {
		h.counts[id]++
	}
}

// note adds id to those accepted.
func (h *history) note(id int) {
	if !h.has(id) {
		h.seen[id>>6] |= 1 << (id & 63)
		h.accepted = append(h.accepted, int32(id))
	}
}

// has reports whether id was accepted.
func (h *history) has(id int) bool { return h.seen[id>>6]>>(id&63)&1 == 1 }

// reset forgets the accepted ids.
func (h *history) reset() {
	clear(h.counts)
	clear(h.seen)
	h.accepted = h.accepted[:0]
}

func (h *history) clone() history {
	return history{slices.Clone(h.counts), slices.Clone(h.seen), slices.Clone(h.accepted)}
}
