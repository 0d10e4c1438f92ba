package sample

import (
	"math"
	"math/bits"
)

// drawBlock is the number of ids per partial sum of an unfiltered draw.
const drawBlock = 256

// draw returns the kept id at which the running weight, in id order, passes random's share of the total.
func (w *workspace) draw(inverse float32, random uint64) int {
	w.sums = w.sums[:0]
	var total uint64
	for _, c := range w.kept {
		total += Weight(math.Float32frombits(c.key) * inverse)
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

// drawAll is draw over all ids, which needs no list of them.
func (w *workspace) drawAll(largest, inverse float32, random uint64) int {
	w.sums = w.sums[:0]
	var total uint64
	for start := 0; start < len(w.values); start += drawBlock {
		for _, v := range w.values[start:min(start+drawBlock, len(w.values))] {
			if u := (largest - v) * inverse; u < WeightBits {
				total += weight(u)
			}
		}
		w.sums = append(w.sums, total)
	}
	goal, _ := bits.Mul64(random, total)
	block := 0
	for w.sums[block] <= goal {
		block++
	}
	var running uint64
	if block > 0 {
		running = w.sums[block-1]
	}
	id := block * drawBlock
	for {
		if running += Weight((largest - w.values[id]) * inverse); running > goal {
			return id
		}
		id++
	}
}
