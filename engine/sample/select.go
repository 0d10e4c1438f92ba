package sample

import (
	"math"
	"math/bits"
	"slices"
)

// outKey is the bit pattern of t = +Inf: ids that cannot be drawn.
const outKey = 0x7F800000

const (
	block = 256 // ids that have one largest value noted
	few   = 12  // of these: a branch that takes so many is well predicted

	levelBits = 11 // of a key, or of an exponent, by which ids are counted at once
	octave    = 5  // bits of exponents below 1 that count: 2^octave*WeightBits <= 2^levelBits
	lanes     = 4  // tables of masses, so that an addition need not wait for the one before
)

// candidate is an id with the bit pattern of t = max - logit, which orders like t.
type candidate struct {
	key uint32
	id  int32
}

// workspace has the memory of a draw. It grows once.
type workspace struct {
	values  []float32 // (vocab) adjusted logits; the caller's where nothing is adjusted
	copied  []float32 // (vocab) holds values where something is
	largest float32   // of values, +0 for -0
	tops    []float32 // (blocks) largest value of each block
	kept    []candidate
	keys    []uint32
	sums    []uint64
	mass    [lanes][1 << levelBits]uint64
}

// top notes the largest value of each block and of all. It returns the lowest id of the latter, the id of the first NaN
// or +Inf, or -1 where all are -Inf.
func (w *workspace) top() (best int) {
	w.tops = w.tops[:0]
	best, w.largest = -1, float32(math.Inf(-1))
	for start := 0; start < len(w.values); start += block {
		i, v := argMax(w.values[start:min(start+block, len(w.values))])
		w.tops = append(w.tops, v)
		if !(v <= w.largest) { // also NaN
			if best, w.largest = start+i, v; !(v <= math.MaxFloat32) {
				return best
			}
		}
	}
	if w.largest == 0 {
		w.largest = 0 // -0 minus 0 would be -0, whose bits do not order like its value
	}
	return best
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

// cuts reports whether top-k removes ids.
func (p Params) cuts(vocab int) bool { return p.TopK > 0 && p.TopK < vocab }

// keep fills kept with the ids that survive top-p, top-k and min-p, in id order.
func (w *workspace) keep(p Params) {
	limit, _ := w.cut(p)
	w.gather(0, limit)
	if p.cuts(len(w.kept)) {
		w.keepLargest(p.TopK)
	}
}

// cut returns the largest key that top-p and min-p leave, and the weight before temperature of the ids up to it, or 0
// if that is not known. top-k may lower the key, but never below its own cut.
func (w *workspace) cut(p Params) (limit uint32, total uint64) {
	if p.TopP == 0 || p.Temperature == 0 {
		return 0, 0
	}
	limit = p.limit()
	if p.TopP < 1 {
		if key, mass := w.topP(p.share()); key <= limit {
			limit, total = key, mass
		}
	}
	if p.cuts(len(w.values)) {
		limit = min(limit, w.topK(p.TopK))
	}
	return limit, total
}

// topP returns the key at which the ids reach top-p, and the weight of the ids up to it.
func (w *workspace) topP(share uint64) (cut uint32, mass uint64) {
	w.weigh()
	var total uint64
	for i := range w.mass[0] {
		w.mass[0][i] += w.mass[1][i] + w.mass[2][i] + w.mass[3][i]
		total += w.mass[0][i]
	}
	hi, lo := bits.Mul64(share, total)
	target := hi<<32 | lo>>32
	if lo<<32 != 0 {
		target++
	}
	bucket, below := w.walk(0, target)
	from := uint32(0)
	if bucket > 0 {
		from = firstKey(float32(bucket)/(1<<octave), log2e)
	}
	to := firstKey(float32(bucket+1)/(1<<octave), log2e) - 1
	w.gather(from, to)
	cut, _, mass = w.reach(from, to, below, target, false)
	return cut, mass
}

// weigh adds up the weights before temperature of all ids by the first bits of their exponents. Neighbours go to
// different tables.
func (w *workspace) weigh() {
	clear(w.mass[0][:])
	clear(w.mass[1][:])
	clear(w.mass[2][:])
	clear(w.mass[3][:])
	largest, last := w.largest, math.Float32frombits(lastWeighed(log2e))
	for b, top := range w.tops {
		if largest-top > last {
			continue
		}
		values := w.block(b)
		for ; len(values) >= lanes; values = values[lanes:] {
			weigh(&w.mass[0], largest-values[0], last)
			weigh(&w.mass[1], largest-values[1], last)
			weigh(&w.mass[2], largest-values[2], last)
			weigh(&w.mass[3], largest-values[3], last)
		}
		for _, v := range values {
			weigh(&w.mass[0], largest-v, last)
		}
	}
}

// weigh adds the weight of an id, unless that is 0.
func weigh(mass *[1 << levelBits]uint64, t, last float32) {
	if t <= last {
		y := exponent(t, log2e)
		mass[y>>(fixedBits-octave)&(1<<levelBits-1)] += weight(y)
	}
}

// topK returns a key that at least k ids do not exceed, or all ids if there are fewer, and not many others. If there
// are as many blocks, the k-th of their largest values will do.
func (w *workspace) topK(k int) (limit uint32) {
	if k <= len(w.tops) {
		w.kept = w.kept[:0]
		for _, top := range w.tops {
			w.kept = append(w.kept, candidate{key: math.Float32bits(w.largest - top)})
		}
		limit, _, _ = w.reach(0, outKey, 0, uint64(k), true)
		return min(limit, outKey-1)
	}
	const shift = 31 - levelBits
	mass := &w.mass[0]
	clear(mass[:])
	for _, v := range w.values {
		mass[math.Float32bits(w.largest-v)>>shift&(1<<levelBits-1)]++
	}
	first, _ := w.walk(0, uint64(k))
	return min(first<<shift|(1<<shift-1), outKey-1)
}

// gather fills kept with the ids whose keys are from one to another, below outKey, in id order. In blocks where few ids
// are it uses a branch, which is well predicted there. In other blocks it uses none. The block before tells which kind
// a block is.
func (w *workspace) gather(from, to uint32) {
	w.kept = slices.Grow(w.kept[:0], len(w.values)+1)
	kept, n, before := w.kept[:len(w.values)+1], 0, 0
	for b, top := range w.tops {
		if math.Float32bits(w.largest-top) > to {
			before = 0
			continue
		}
		first, id := n, int32(b*block)
		values := w.block(b)
		if before <= few {
			for len(values) >= 4 { // so the loop costs less
				k0, k1, k2, k3 := w.key(values[0])-from, w.key(values[1])-from, w.key(values[2])-from, w.key(values[3])-from
				if k0 <= to-from || k1 <= to-from || k2 <= to-from || k3 <= to-from {
					for i, v := range values[:4] {
						if key := w.key(v); key-from <= to-from {
							kept[n] = candidate{key, id + int32(i)}
							n++
						}
					}
				}
				values, id = values[4:], id+4
			}
		}
		for i, v := range values {
			key := w.key(v)
			kept[n] = candidate{key, id + int32(i)}
			n += within(key-from, to-from)
		}
		before = n - first
	}
	w.kept = kept[:n]
}

// key returns the key of a value.
func (w *workspace) key(v float32) uint32 { return math.Float32bits(w.largest - v) }

// block returns the values of a block.
func (w *workspace) block(b int) []float32 {
	return w.values[b*block : min((b+1)*block, len(w.values))]
}

// within returns 1 where key <= limit and 0 elsewhere, without a branch: which ids stay cannot be predicted.
func within(key, limit uint32) int {
	return int(uint64(int64(key)-int64(limit)-1) >> 63)
}

// keepLargest leaves the k ids with the smallest keys; among equal keys those with the lowest ids.
func (w *workspace) keepLargest(k int) {
	cut, smaller, _ := w.reach(0, outKey, 0, uint64(k), true)
	ties, n := k-int(smaller), 0
	for _, c := range w.kept {
		w.kept[n] = c
		if c.key != cut {
			n += within(c.key, cut)
		} else if ties > 0 {
			ties--
			n++
		}
	}
	w.kept = w.kept[:n]
}

// reach returns the smallest key at which the mass of kept, in order of keys, reaches target, the mass of all smaller
// keys, and the mass up to that key. The keys lie between from and to, and below is the mass of keys before from. Mass
// is a count or the weight before temperature.
func (w *workspace) reach(from, to uint32, below, target uint64, count bool) (key uint32, smaller, upTo uint64) {
	w.keys = w.keys[:0]
	for _, c := range w.kept {
		w.keys = append(w.keys, c.key)
	}
	mass := &w.mass[0]
	for shift := max(bits.Len32(to-from)-levelBits, 0); ; shift = max(shift-levelBits, 0) {
		clear(mass[:])
		for _, key := range w.keys {
			mass[(key-from)>>shift&(1<<levelBits-1)] += keyMass(key, count)
		}
		bucket, before := w.walk(below, target)
		if shift == 0 {
			return from + bucket, before, before + mass[bucket]
		}
		n := 0
		for _, key := range w.keys {
			w.keys[n] = key
			n += within((key-from)>>shift^bucket, 0)
		}
		w.keys, from, below = w.keys[:n], from+bucket<<shift, before
	}
}

func keyMass(key uint32, count bool) uint64 {
	if count {
		return 1
	}
	return Weight(math.Float32frombits(key) * log2e)
}

// walk returns the first bucket of the first table at which the running mass, from below on, reaches target, and the
// mass before it.
func (w *workspace) walk(below, target uint64) (bucket uint32, before uint64) {
	for i, m := range w.mass[0] {
		if below+m >= target {
			return uint32(i), below
		}
		below += m
	}
	return 1<<levelBits - 1, below
}
