package sample

import "testing"

// The exact edges of the definition, where float64 arithmetic cannot tell.

func TestDrawEdges(t *testing.T) {
	equal := make([]float32, 1024)
	w := workspace{values: equal}
	w.top()
	w.gather(0, 0)
	for _, c := range []struct {
		random uint64
		want   int
	}{
		{0, 0}, {1<<54 - 1, 0}, {1 << 54, 1}, {1<<62 - 1, 255}, {1 << 62, 256}, {1<<63 - 1, 511}, {1 << 63, 512}, {^uint64(0), 1023},
	} {
		if got := w.drawKept(log2e, c.random); got != c.want {
			t.Errorf("drawKept(%x): got %d, want %d", c.random, got, c.want)
		}
		for _, total := range []uint64{0, 1 << 50} {
			if got := w.draw(0, log2e, c.random, total); got != c.want {
				t.Errorf("draw(%x) of total %d: got %d, want %d", c.random, total, got, c.want)
			}
		}
	}
}

// Two ids of the same weight and different keys: top_p = 0.5 is reached by the first alone.
func TestTopPEdge(t *testing.T) {
	logits := []float32{0, 1.0 / (1 << 40)}
	for topP, want := range map[float32]int{0.25: 1, 0.5: 1, 0.50000006: 2, 0.99999994: 2, 1: 2} {
		s := newSampler(t, Params{Temperature: 1, TopP: topP}, 2)
		_, err := s.Distribution(logits)
		if kept := s.ids.idle[0].kept; err != nil || len(kept) != want || kept[want-1].id != 1 {
			t.Errorf("top_p %v: kept %v (%v), want %d", topP, kept, err, want)
		}
	}
}

// A third id of weight 1 makes half of the total a fraction above the first: rounded up, it needs the second.
func TestTopPRoundsUp(t *testing.T) {
	s := newSampler(t, Params{Temperature: 1, TopP: 0.5}, 3)
	_, err := s.Distribution([]float32{0, 1.0 / (1 << 40), -27.7})
	if kept := s.ids.idle[0].kept; err != nil || len(kept) != 2 {
		t.Errorf("kept %v (%v), want 2 ids", kept, err)
	}
}

func TestCountsEnd(t *testing.T) {
	s := newSampler(t, Params{Temperature: 1, TopP: 1, Frequency: 1, PenaltyDecay: 0.5}, 2)
	for n := range 42 {
		id := min(n, 1)
		if err := s.Accept(id); err != nil {
			t.Fatal(err)
		}
		want := float32(1) / float32(int64(1)<<n)
		if n > 40 {
			want = 0
		}
		if got, ok := s.Count(0); got != want || !ok {
			t.Errorf("after %d more tokens: count %v, want %v", n, got, want)
		}
	}
}
