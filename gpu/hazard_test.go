package gpu

import (
	"fmt"
	"math/rand"
	"testing"
)

// oracle keeps every access since the last barrier, byte by byte.
type oracle struct{ read, written map[string]bool }

func (o *oracle) step(accesses []access) (barrier bool) {
	each := func(a access, f func(key string)) {
		for i := a.lo; i < a.hi; i++ {
			f(fmt.Sprintf("%p/%d", a.buf, i))
		}
	}
	for _, a := range accesses {
		each(a, func(key string) { barrier = barrier || o.written[key] || a.write && o.read[key] })
	}
	if barrier || o.read == nil {
		o.read, o.written = map[string]bool{}, map[string]bool{}
	}
	for _, a := range accesses {
		each(a, func(key string) {
			if a.write {
				o.written[key] = true
			} else {
				o.read[key] = true
			}
		})
	}
	return barrier
}

func TestHazardsAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for round := range 60 {
		bufs := make([]*Buffer, 1+rng.Intn(4))
		for i := range bufs {
			bufs[i] = &Buffer{name: fmt.Sprint(i)}
		}
		var h hazards
		var o oracle
		barriers := 0
		for step := range 60 {
			accesses := make([]access, 1+rng.Intn(4))
			for i := range accesses {
				lo := rng.Intn(60)
				accesses[i] = access{bufs[rng.Intn(len(bufs))], lo, lo + 1 + rng.Intn(12), rng.Intn(4) == 0}
			}
			got, want := h.step(accesses), o.step(accesses)
			if got != want {
				t.Fatalf("round %d step %d %v: barrier %v, want %v", round, step, accesses, got, want)
			}
			if got {
				barriers++
			}
		}
		if barriers == 0 || barriers == 60 {
			t.Errorf("round %d: %d barriers in 60 steps: the cases test nothing", round, barriers)
		}
	}
}

func TestHazardKinds(t *testing.T) {
	a, b := &Buffer{}, &Buffer{}
	r := func(buf *Buffer, lo, hi int) access { return access{buf, lo, hi, false} }
	w := func(buf *Buffer, lo, hi int) access { return access{buf, lo, hi, true} }
	for _, c := range []struct {
		name   string
		first  []access
		second []access
		want   bool
	}{
		{"read after write", []access{w(a, 0, 4)}, []access{r(a, 3, 5)}, true},
		{"write after read", []access{r(a, 0, 4)}, []access{w(a, 0, 1)}, true},
		{"write after write", []access{w(a, 0, 4)}, []access{w(a, 0, 4)}, true},
		{"read after read", []access{r(a, 0, 4)}, []access{r(a, 0, 4)}, false},
		{"neighbours", []access{w(a, 0, 4)}, []access{w(a, 4, 8)}, false},
		{"other buffer", []access{w(a, 0, 4)}, []access{w(b, 0, 4)}, false},
		{"in place", []access{r(a, 0, 4)}, []access{r(b, 0, 4), w(b, 0, 4)}, false},
	} {
		var h hazards
		if h.step(c.first) {
			t.Errorf("%s: barrier before the first step", c.name)
		}
		if got := h.step(c.second); got != c.want {
			t.Errorf("%s: barrier %v, want %v", c.name, got, c.want)
		}
	}
}
