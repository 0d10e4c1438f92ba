package sample

import (
	"math"
	"math/bits"
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

// workspace holds what a draw computes on its way; it grows once.
type workspace struct {
	values []float32 // (vocab) adjusted logits
	kept   []candidate
	sums   []uint64
	mass   [levelSize]uint64
}

// filters reports whether any setting can remove ids.
func (p Params) filters(vocab int) bool {
	return p.TopP < 1 || p.MinP > 0 || p.TopK > 0 && p.TopK < vocab
}

// keep fills kept with the ids that survive top-p, top-k and min-p, in id order.
func (w *workspace) keep(p Params, largest float32) {
	limit := uint32(outKey - 1) // largest key that stays
	if p.MinP > 0 {
		limit = math.Float32bits(float32(max(0, -math.Log(float64(p.MinP)))))
	}
	switch {
	case p.TopP == 0 || p.Temperature == 0:
		w.gather(largest, 0)
	case p.TopP < 1:
		target, below, top := w.topBucket(p.TopP, largest)
		w.gather(largest, top<<topShift|(1<<topShift-1))
		cut, _ := w.refine(top, below, target, massWeight)
		w.cut(min(cut, limit), len(w.kept))
	default:
		w.gather(largest, limit)
	}
	if p.TopK > 0 && p.TopK < len(w.kept) {
		w.keepLargest(p.TopK)
	}
}

// topBucket returns the weight that top-p must reach, and the top bits of the key where it is reached with the weight
// of all smaller ones.
func (w *workspace) topBucket(topP, largest float32) (target, below uint64, top uint32) {
	clear(w.mass[:])
	for _, v := range w.values {
		t := largest - v
		if u := t * log2e; u < WeightBits {
			w.mass[math.Float32bits(t)>>topShift] += weight(u)
		}
	}
	var total uint64
	for _, m := range w.mass {
		total += m
	}
	hi, lo := bits.Mul64(uint64(math.Ceil(float64(topP)*(1<<32))), total)
	target = hi<<32 | lo>>32
	if lo<<32 != 0 {
		target++
	}
	top, below = w.walk(0, target)
	return target, below, top
}

// gather fills kept with the ids whose key is at most limit, in id order.
func (w *workspace) gather(largest float32, limit uint32) {
	w.kept = w.kept[:0]
	most := math.Float32frombits(min(limit, outKey-1))
	for id, v := range w.values {
		if t := largest - v; t <= most {
			w.kept = append(w.kept, candidate{math.Float32bits(t), int32(id)})
		}
	}
}

// keepLargest leaves the k ids with the smallest keys; among equal keys those with the lowest ids.
func (w *workspace) keepLargest(k int) {
	clear(w.mass[:])
	for _, c := range w.kept {
		w.mass[c.key>>topShift]++
	}
	top, below := w.walk(0, uint64(k))
	cut, smaller := w.refine(top, below, uint64(k), massOne)
	w.cut(cut, k-int(smaller))
}

// cut drops ids whose key is above key, and those that have it after the first ties.
func (w *workspace) cut(key uint32, ties int) {
	kept := w.kept[:0]
	for _, c := range w.kept {
		if c.key > key {
			continue
		}
		if c.key == key {
			if ties == 0 {
				continue
			}
			ties--
		}
		kept = append(kept, c)
	}
	w.kept = kept
}

func massWeight(key uint32) uint64 { return Weight(math.Float32frombits(key) * log2e) }
func massOne(uint32) uint64        { return 1 }

// refine returns the smallest key at which the mass of kept, in order of keys, reaches target, and the mass of all
// smaller keys, given the key's top bits and the mass below them.
func (w *workspace) refine(top uint32, below, target uint64, mass func(key uint32) uint64) (key uint32, smaller uint64) {
	clear(w.mass[:])
	for _, c := range w.kept {
		if c.key>>topShift == top {
			w.mass[c.key>>midShift&(levelSize-1)] += mass(c.key)
		}
	}
	mid, below := w.walk(below, target)
	mid |= top << (topShift - midShift)
	clear(w.mass[:])
	for _, c := range w.kept {
		if c.key>>midShift == mid {
			w.mass[c.key&(1<<midShift-1)] += mass(c.key)
		}
	}
	low, below := w.walk(below, target)
	return mid<<midShift | low, below
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
