package grammar

// Accepting reports whether the text may end in state s.
func (r *Run) Accepting(s int32) bool { return r.states[s].accepting }

// Only returns the byte that must come in state s, if there is only one and the text may not end.
func (r *Run) Only(s int32) (byte, bool) {
	if r.Accepting(s) {
		return 0, false
	}
	only := -1
	for c := range r.count {
		if r.Step(s, r.bytes[c]) == Dead {
			continue
		}
		if only >= 0 || r.members[c] > 1 {
			return 0, false
		}
		only = c
	}
	if only < 0 {
		return 0, false
	}
	return r.bytes[only], true
}

// Final reports whether no byte may come in state s.
func (r *Run) Final(s int32) bool {
	for c := range r.count {
		if r.Step(s, r.bytes[c]) != Dead {
			return false
		}
	}
	return true
}

// Absorbs reports whether any n of the machine's characters may come in state s, or fewer. Where it is not plain to see
// that they may, it reports false.
func (r *Run) Absorbs(s int32, n int) bool {
	for _, t := range r.states[s].threads {
		if r.pool.Absorbs(t.rest, r.char, n) {
			return true
		}
	}
	return false
}

// Advance returns the state after text, and how many of its bytes are allowed: all, or those before the first that is not.
func (r *Run) Advance(s int32, text []byte) (int32, int) {
	for i, b := range text {
		if s = r.Step(s, b); s == Dead {
			return Dead, i
		}
	}
	return s, len(text)
}
