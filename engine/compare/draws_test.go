package compare

import (
	"math"
	"slices"
	"testing"
)

// Only the first sequence ends, and only behind its own first id of the kind: others may have drawn it before.
func TestEndFirst(t *testing.T) {
	const none = math.MaxUint32
	for _, c := range []struct {
		sequences, steps int
		ids, want        []uint32
	}{
		{2, 2, []uint32{5, 7, 7, 5, 9, 1, 5, 2}, []uint32{5, 7, 7, 5, none, 1, none, 2}},
		{2, 1, []uint32{7, 7, 7, 7}, []uint32{7, 7, none, 7}},
		{3, 3, []uint32{1, 7, 7, 2, 7, 7, 7, 7, 7}, []uint32{1, 7, 7, 2, 7, 7, 7, 7, 7}},
		{1, 3, []uint32{1, 2, 7, 3, 7}, []uint32{1, 2, 7, none, none}},
	} {
		got := slices.Clone(c.ids)
		if steps := endFirst(got, c.sequences, 7); steps != c.steps || !slices.Equal(got, c.want) {
			t.Errorf("%d sequences, %v: want %v after %d steps, got %v after %d", c.sequences, c.ids, c.want, c.steps, got, steps)
		}
	}
}
