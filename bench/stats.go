package bench

import (
	"cmp"
	"slices"
)

// median returns the middle of the values, or the mean of the two in the middle.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// upperMedian returns the middle of the values, or the larger of the two in the middle.
func upperMedian(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

func ratesOf(samples []float64) Rates {
	return Rates{Median: median(samples), Min: slices.Min(samples), Max: slices.Max(samples), Samples: samples}
}

// rankSum is the Mann-Whitney test (also Wilcoxon's rank sum test), exact and with two sides. p is the probability that
// a random division of all values into groups of these sizes sets their ranks at least as far apart as they are. least
// is the smallest such probability that groups of these sizes allow. Equal values share the mean of their ranks.
func rankSum(a, b []float64) (p, least float64) {
	type value struct {
		v     float64
		first bool
	}
	var all []value
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.v, y.v) })
	ranks := make([]int, len(all)) // doubled, so that means are whole
	sum := 0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].v == all[i].v {
			j++
		}
		for k := i; k < j; k++ {
			if ranks[k] = i + 1 + j; all[k].first {
				sum += ranks[k]
			}
		}
		i = j
	}
	ways := divisions(ranks, len(a))
	mean := len(a) * (len(all) + 1)
	apart := abs(sum - mean)
	var as, extreme, total float64
	far := 0
	for s, w := range ways {
		if total += w; w > 0 && abs(s-mean) > far {
			far = abs(s - mean)
		}
	}
	for s, w := range ways {
		if abs(s-mean) >= apart {
			as += w
		}
		if abs(s-mean) == far {
			extreme += w
		}
	}
	return as / total, extreme / total
}

// divisions counts the ways to choose n of the ranks, by the sum of the chosen ranks.
func divisions(ranks []int, n int) []float64 {
	most := 0
	for _, r := range ranks {
		most += r
	}
	ways := make([][]float64, n+1)
	for i := range ways {
		ways[i] = make([]float64, most+1)
	}
	ways[0][0] = 1
	for _, r := range ranks {
		for k := n; k > 0; k-- {
			for s := most; s >= r; s-- {
				ways[k][s] += ways[k-1][s-r]
			}
		}
	}
	return ways[n]
}

func abs(n int) int { return max(n, -n) }
