package sample

import (
	"math"
	"math/bits"
)

// draw returns the id at which the running weight, in id order, passes random's share of the total. It looks at the
// ids whose key is at most limit. total is the weight of all these ids, or 0 if nobody knows it yet.
func (w *workspace) draw(limit uint32, factor float32, random, total uint64) int {
	limit = min(limit, lastWeighed(factor))
	w.sums = w.sums[:0]
	if total == 0 {
		before := block
		for b := range w.tops {
			var m uint64
			m, before = w.weight(b, limit, factor, before)
			total += m
			w.sums = append(w.sums, total)
		}
	}
	goal, _ := bits.Mul64(random, total)
	b, running := w.find(limit, factor, goal, total)
	for id := b * block; ; id++ {
		if t := w.largest - w.values[id]; math.Float32bits(t) <= limit {
			if running += weight(exponent(t, factor)); running > goal {
				return id
			}
		}
	}
}

// find returns the block in which the running weight passes goal, and the weight before that block. If the weights of
// blocks are not known, it adds them up from the end that is nearer to the goal.
func (w *workspace) find(limit uint32, factor float32, goal, total uint64) (b int, running uint64) {
	if len(w.sums) > 0 {
		for w.sums[b] <= goal {
			running = w.sums[b]
			b++
		}
		return b, running
	}
	var m uint64
	if before := block; goal < total/2 {
		for ; ; b++ {
			if m, before = w.weight(b, limit, factor, before); running+m > goal {
				return b, running
			}
			running += m
		}
	} else {
		running = total
		for b = len(w.tops) - 1; ; b-- {
			m, before = w.weight(b, limit, factor, before)
			if running -= m; running <= goal {
				return b, running
			}
		}
	}
}

// weight returns the weight and the number of a block's ids whose key is at most limit, which is at most lastWeighed.
// Where few ids or almost all count it uses a branch, which is well predicted there. Elsewhere it uses none. The number
// in the block before tells which kind a block is.
func (w *workspace) weight(b int, limit uint32, factor float32, before int) (sum uint64, n int) {
	if math.Float32bits(w.largest-w.tops[b]) > limit {
		return 0, 0
	}
	largest, scale := w.largest, factor*(1<<fixedBits)
	if before <= few || before >= block-few {
		for _, v := range w.block(b) {
			if t := largest - v; math.Float32bits(t) <= limit {
				sum += weight(uint64(int64(t * scale)))
				n++
			}
		}
		return sum, n
	}
	for _, v := range w.block(b) {
		t := largest - v
		in := within(math.Float32bits(t), limit)
		sum += weight(uint64(int64(t*scale))) & -uint64(in)
		n += in
	}
	return sum, n
}

// drawKept is draw from the ids of kept.
func (w *workspace) drawKept(factor float32, random uint64) int {
	w.sums = w.sums[:0]
	var total uint64
	for _, c := range w.kept {
		total += Weight(math.Float32frombits(c.key) * factor)
		w.sums = append(w.sums, total)
	}
	goal, _ := bits.Mul64(random, total)
	low, high := 0, len(w.sums)-1
	for low < high { // first running weight above goal
		if mid := (low + high) / 2; w.sums[mid] > goal {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return int(w.kept[low].id)
}
