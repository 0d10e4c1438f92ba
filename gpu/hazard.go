package gpu

// access is one use of the bytes [lo, hi) of a buffer.
type access struct {
	buf    *Buffer
	lo, hi int
	write  bool
}

// hazards remembers the accesses since the last barrier and tells when the next step needs
// one: when it reads what was written, or writes what was read or written. Steps between two
// barriers may run in any order or at once.
type hazards struct {
	used map[*Buffer]*bufferUse
	live []*bufferUse // those of used that hold accesses
}

type bufferUse struct {
	reads, writes []interval
}

type interval struct{ lo, hi int }

// step adds one command with these accesses and reports whether a barrier must stand before
// it. Accesses of the same step do not conflict with each other.
func (h *hazards) step(accesses []access) (barrier bool) {
	for _, a := range accesses {
		if u := h.used[a.buf]; u != nil && u.conflicts(a) {
			h.reset()
			barrier = true
			break
		}
	}
	for _, a := range accesses {
		h.add(a)
	}
	return barrier
}

func (u *bufferUse) conflicts(a access) bool {
	return overlaps(u.writes, a) || a.write && overlaps(u.reads, a)
}

func overlaps(list []interval, a access) bool {
	for _, x := range list {
		if x.lo < a.hi && a.lo < x.hi {
			return true
		}
	}
	return false
}

func (h *hazards) add(a access) {
	if h.used == nil {
		h.used = map[*Buffer]*bufferUse{}
	}
	u := h.used[a.buf]
	if u == nil {
		u = &bufferUse{}
		h.used[a.buf] = u
	}
	if len(u.reads)+len(u.writes) == 0 {
		h.live = append(h.live, u)
	}
	list := &u.reads
	if a.write {
		list = &u.writes
	}
	for _, x := range *list {
		if x.lo <= a.lo && a.hi <= x.hi { // covered: keeps repeated reads of weights short
			return
		}
	}
	*list = append(*list, interval{a.lo, a.hi})
}

// reset forgets everything, as after a barrier.
func (h *hazards) reset() {
	for _, u := range h.live {
		u.reads, u.writes = u.reads[:0], u.writes[:0]
	}
	h.live = h.live[:0]
}
