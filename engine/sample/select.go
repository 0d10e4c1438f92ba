package sample

import (
	"math"
	"math/bits"
	"slices"
)

// outKey is the bit pattern of t = +Inf: ids that cannot be drawn.
const outKey = 0x7F800000

// Keys are selected by three levels of their bits, highest first.
const (
	topShift  = 20 // 11 bits
	midShift  = 9  // 11 bits
	levelSize = 1 << 11
)

// candidate is an id with the bit pattern of t = max - logit, which orders like t.
type candidate struct {
	key uint32
	id  int32
}

// workspace has the memory of a draw. It grows once.
type workspace struct {
	values []float32 // (vocab) adjusted logits; the caller's where nothing is adjusted
	copied []float32 // (vocab) holds values where something is
	kept   []candidate
	keys   []uint32
	sums   []uint64
	mass   [levelSize]uint64
}

// filters reports whether any setting can remove ids.
func (p Params) filters(vocab int) bool {
	return p.TopP < 1 || p.MinP > 0 || p.TopK > 0 && p.TopK < vocab
}

// limit returns the largest key that min-p leaves.
func (p Params) limit() uint32 {
	if p.MinP > 0 {
		return math.Float32bits(float32(max(0, -math.Log(float64(p.MinP)))))
	}
	return outKey - 1
}

// share returns top_p < 1 in units of 2^-32, rounded up.
func (p Params) share() uint64 { return uint64(math.Ceil(float64(p.TopP) * (1 << 32))) }

// keep fills kept with the ids that survive top-p, top-k and min-p, in id order.
func (w *workspace) keep(p Params, largest float32) {
	limit := p.limit()
	switch {
	case p.TopP == 0 || p.Temperature == 0:
		w.gather(largest, 0)
	case p.TopP < 1:
		target, below, top := w.topBucket(p.share(), largest)
		w.gather(largest, lastKey(top))
		cut, _ := w.refine(top, below, target, false)
		w.cut(min(cut, limit), len(w.kept))
	case p.TopK > 0 && p.TopK < len(w.values):
		w.gather(largest, min(w.topCount(p.TopK, largest), limit))
	default:
		w.gather(largest, limit)
	}
	if p.TopK > 0 && p.TopK < len(w.kept) {
		w.keepLargest(p.TopK)
	}
}

// topBucket returns the weight that top-p must reach, the top bits of the key at which it is reached, and the weight of
// all keys with smaller top bits.
func (w *workspace) topBucket(share uint64, largest float32) (target, below uint64, top uint32) {
	clear(w.mass[:])
	for _, v := range w.values {
		t := largest - v
		if u := t * log2e; u < WeightBits {
			w.mass[math.Float32bits(t)>>topShift&(levelSize-1)] += weight(u)
		}
	}
	var total uint64
	for _, m := range w.mass {
		total += m
	}
	hi, lo := bits.Mul64(share, total)
	target = hi<<32 | lo>>32
	if lo<<32 != 0 {
		target++
	}
	top, below = w.walk(0, target)
	return target, below, top
}

// topCount returns a key that at least k ids do not exceed, or all ids if there are fewer, and few others.
func (w *workspace) topCount(k int, largest float32) (limit uint32) {
	clear(w.mass[:])
	for _, v := range w.values {
		w.mass[math.Float32bits(largest-v)>>topShift&(levelSize-1)]++
	}
	top, _ := w.walk(0, uint64(k))
	return lastKey(top)
}

// lastKey returns the largest key with these top bits.
func lastKey(top uint32) uint32 { return top<<topShift | (1<<topShift - 1) }

// gather fills kept with the ids whose key is at most limit, in id order. In blocks where few ids stay it uses a
// branch, which is well predicted there. In other blocks it uses none. The block before tells which kind a block is.
func (w *workspace) gather(largest float32, limit uint32) {
	const block, few = 256, 12
	limit = min(limit, outKey-1)
	w.kept = slices.Grow(w.kept[:0], len(w.values)+1)
	kept, n, before := w.kept[:len(w.values)+1], 0, 0
	for start := 0; start < len(w.values); start += block {
		values, id := w.values[start:min(start+block, len(w.values))], int32(start)
		first := n
		if before <= few {
			for i, v := range values {
				if key := math.Float32bits(largest - v); key <= limit {
					kept[n] = candidate{key, id + int32(i)}
					n++
				}
			}
		} else {
			for i, v := range values {
				key := math.Float32bits(largest - v)
				kept[n] = candidate{key, id + int32(i)}
				n += within(key, limit)
			}
		}
		before = n - first
	}
	w.kept = kept[:n]
}

// within returns 1 where key <= limit and 0 elsewhere, without a branch: which ids stay cannot be predicted.
func within(key, limit uint32) int {
	return int(uint64(int64(key)-int64(limit)-1) >> 63)
}

// keepLargest leaves the k ids with the smallest keys; among equal keys those with the lowest ids.
func (w *workspace) keepLargest(k int) {
	clear(w.mass[:])
	for _, c := range w.kept {
		w.mass[c.key>>topShift]++
	}
	top, below := w.walk(0, uint64(k))
	cut, smaller := w.refine(top, below, uint64(k), true)
	w.cut(cut, k-int(smaller))
}

// cut drops ids whose key is above key, and those that have it after the first ties.
func (w *workspace) cut(key uint32, ties int) {
	n := 0
	for _, c := range w.kept {
		w.kept[n] = c
		if c.key != key {
			n += within(c.key, key)
		} else if ties > 0 {
			ties--
			n++
		}
	}
	w.kept = w.kept[:n]
}

// refine returns the smallest key at which the mass of kept, in order of keys, reaches target, and the mass of all
// smaller keys, given the key's top bits and the mass below them. Mass is a count or the weight before temperature.
func (w *workspace) refine(top uint32, below, target uint64, count bool) (key uint32, smaller uint64) {
	w.keys = slices.Grow(w.keys[:0], len(w.kept)+1)
	keys, n := w.keys[:len(w.kept)+1], 0
	for _, c := range w.kept {
		keys[n] = c.key
		n += within(c.key>>topShift^top, 0)
	}
	keys = keys[:n]
	clear(w.mass[:])
	for _, key := range keys {
		w.mass[key>>midShift&(levelSize-1)] += keyMass(key, count)
	}
	mid, below := w.walk(below, target)
	clear(w.mass[:])
	for _, key := range keys {
		if key>>midShift&(levelSize-1) == mid {
			w.mass[key&(1<<midShift-1)] += keyMass(key, count)
		}
	}
	low, below := w.walk(below, target)
	return top<<topShift | mid<<midShift | low, below
}

func keyMass(key uint32, count bool) uint64 {
	if count {
		return 1
	}
	return Weight(math.Float32frombits(key) * log2e)
}

// walk returns the first bucket at which the running mass, from below on, reaches target, and the mass before it.
func (w *workspace) walk(below, target uint64) (bucket uint32, before uint64) {
	for i, m := range w.mass {
		if below+m >= target {
			return uint32(i), below
		}
		below += m
	}
	return levelSize - 1, below
}
