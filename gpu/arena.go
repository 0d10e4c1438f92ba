package gpu

import "sort"

// arena hands out parts of [0, size): best fit from a list of free spans sorted by offset,
// neighbours joined on release.
type arena struct {
	size int
	free []span
}

type span struct{ off, size int }

func newArena(size int) arena { return arena{size: size, free: []span{{0, size}}} }

// alloc takes size bytes at a multiple of align, or reports that no span fits.
func (a *arena) alloc(size, align int) (off int, ok bool) {
	best := -1
	for i, s := range a.free {
		pad := padding(s.off, align)
		if s.size >= pad && s.size-pad >= size && (best < 0 || s.size < a.free[best].size) {
			best = i
		}
	}
	if best < 0 {
		return 0, false
	}
	s := a.free[best]
	pad := padding(s.off, align)
	off = s.off + pad
	var rest []span
	if pad > 0 {
		rest = append(rest, span{s.off, pad})
	}
	if tail := s.size - pad - size; tail > 0 {
		rest = append(rest, span{off + size, tail})
	}
	a.free = append(a.free[:best], append(rest, a.free[best+1:]...)...)
	return off, true
}

// release gives back what alloc took.
func (a *arena) release(off, size int) {
	i := sort.Search(len(a.free), func(i int) bool { return a.free[i].off > off })
	a.free = append(a.free, span{})
	copy(a.free[i+1:], a.free[i:])
	a.free[i] = span{off, size}
	a.join(i)
	if i > 0 {
		a.join(i - 1)
	}
}

// join merges span i with its right neighbour where they touch.
func (a *arena) join(i int) {
	if i+1 < len(a.free) && a.free[i].off+a.free[i].size == a.free[i+1].off {
		a.free[i].size += a.free[i+1].size
		a.free = append(a.free[:i+1], a.free[i+2:]...)
	}
}

func (a *arena) empty() bool { return len(a.free) == 1 && a.free[0].size == a.size }

func padding(off, align int) int { return (align - off%align) % align }
