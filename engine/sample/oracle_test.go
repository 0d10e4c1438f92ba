package sample

import (
	"cmp"
	"math"
	"slices"
)

// oracle is the definition written again, from the reference's description alone: float64, a full sort, no integers.
// It returns the distribution that Sample draws from.
func oracle(p Params, logits []float32, counts map[int]float64) []float64 {
	l := make([]float64, len(logits))
	largest := math.Inf(-1)
	for i, v := range logits {
		l[i] = float64(v)
		if count, ok := counts[i]; ok {
			l[i] -= float64(p.Presence) + count*float64(p.Frequency)
		}
		if slices.Contains(p.Ban, i) {
			l[i] = math.Inf(-1)
		}
		largest = max(largest, l[i])
	}
	probs := make([]float64, len(l))
	var sum float64
	for i := range l {
		probs[i] = math.Exp(l[i] - largest)
		sum += probs[i]
	}
	order := make([]int, len(l))
	for i := range probs {
		probs[i] /= sum
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(l[b], l[a]) })
	oracleFilter(p, probs, order)
	sum = 0
	for i := range probs {
		if p.Temperature != 0 && probs[i] > 0 {
			probs[i] = math.Pow(probs[i], 1/float64(p.Temperature))
		}
		sum += probs[i]
	}
	for i := range probs {
		probs[i] /= sum
	}
	return probs
}

// oracleFilter sets to 0 what top-p, top-k and min-p remove; order is by falling probability, ties by id.
func oracleFilter(p Params, probs []float64, order []int) {
	topP := float64(p.TopP)
	if p.Temperature == 0 {
		topP = 0
	}
	top := probs[order[0]]
	if topP < 1 {
		var sum, cut float64
		for _, id := range order {
			cut = probs[id]
			if sum += probs[id]; sum >= topP {
				break
			}
		}
		for i := range probs {
			if probs[i] < cut {
				probs[i] = 0
			}
		}
	}
	for rank, id := range order {
		if p.TopK > 0 && rank >= p.TopK || probs[id] < float64(p.MinP)*top {
			probs[id] = 0
		}
	}
}

// oracleDraw inverts the cumulative distribution at random/2^64; near is how close that is to an id's edge.
func oracleDraw(probs []float64, random uint64) (id int, near float64) {
	goal := float64(random) / (1 << 64)
	near = 1
	id = -1
	var running float64
	for i, p := range probs {
		if p == 0 {
			continue
		}
		running += p
		near = min(near, math.Abs(running-goal))
		if id < 0 && running > goal {
			id = i
		}
	}
	return id, near
}
