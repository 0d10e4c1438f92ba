package scene

import (
	"cmp"
	"slices"
)

// strongest returns the places of the n largest numbers, the largest first.
func strongest(list []float32, n int) []int {
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[b], list[a]) })
	return order[:min(n, len(order))]
}
