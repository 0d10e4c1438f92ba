package replicas

import (
	"fmt"
	"slices"
	"testing"
)

// A replica compares itself with two others, taken at random. Of up to three, the one with the least to do comes first.
func TestSpread(t *testing.T) {
	for n := range 13 {
		var list []candidate
		for i := range n {
			list = append(list, candidate{id: fmt.Sprint(i), has: i, most: 16, own: i == n-2})
		}
		const draws = 2000
		first := make([]int, n)
		for range draws {
			got := spread(slices.Clone(list))
			if len(got) != n || n > 0 && (got[0].has > max(n-2, 0) || !slices.Equal(got[1:], slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return c == got[0] }))) {
				t.Fatalf("%d replicas: got %v", n, got)
			}
			if n > 0 {
				first[got[0].has]++
			}
		}
		if n > 0 && n <= 3 && first[0] != draws {
			t.Errorf("%d replicas: %v", n, first)
		}
		if n > 3 { // the first of all is one of the two others in 2 of n-1 draws
			if want := draws * 2 / (n - 1); first[0] < want/2 || first[0] > 2*want || first[1] == 0 {
				t.Errorf("%d replicas: %v, want %d times the first", n, first, want)
			}
		}
	}
}
