package gpu

import (
	"math/rand"
	"testing"
)

// Random allocation and release: places never overlap, are aligned, and leave nothing behind.
func TestArena(t *testing.T) {
	rng := rand.New(rand.NewSource(2))
	for round := range 12 {
		const size = 2048
		a := newArena(size)
		owner := make([]int, size) // 0: free
		live := map[int]span{}
		full := 0
		for id := 1; id <= 400; id++ {
			if len(live) > 0 && rng.Intn(5) < 2 {
				for k, s := range live { // any one
					a.release(s.off, s.size)
					for i := s.off; i < s.off+s.size; i++ {
						if owner[i] != k {
							t.Fatalf("round %d: byte %d of %d belongs to %d", round, i, k, owner[i])
						}
						owner[i] = 0
					}
					delete(live, k)
					break
				}
				continue
			}
			n, align := 1+rng.Intn(150), 1<<rng.Intn(8)
			off, ok := a.alloc(n, align)
			if !ok {
				full++
				if fits(owner, n, align) {
					t.Fatalf("round %d: no room for %d, but there is", round, n)
				}
				continue
			}
			if off%align != 0 || off < 0 || off+n > size {
				t.Fatalf("round %d: %d bytes aligned %d at %d of %d", round, n, align, off, size)
			}
			for i := off; i < off+n; i++ {
				if owner[i] != 0 {
					t.Fatalf("round %d: byte %d is given to %d and %d", round, i, owner[i], id)
				}
				owner[i] = id
			}
			live[id] = span{off, n}
		}
		if full == 0 {
			t.Errorf("round %d: the arena was never full", round)
		}
		for _, s := range live {
			a.release(s.off, s.size)
		}
		if !a.empty() {
			t.Fatalf("round %d: not empty after all is released: %v", round, a.free)
		}
	}
}

func fits(owner []int, n, align int) bool {
	for off := 0; off+n <= len(owner); off += align {
		free := true
		for _, o := range owner[off : off+n] {
			free = free && o == 0
		}
		if free {
			return true
		}
	}
	return false
}
