package bench

import (
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// Tokens of one submission share its time outside waiting and drawing, and one slow submission does not count.
func TestHostTime(t *testing.T) {
	var work engine.Work
	var h hostTime
	h.begin(func() engine.Work { return work }, []time.Duration{time.Hour}, 8)
	began := h.start
	for _, tokens := range []int{1, 2, 4} {
		work.Waited += time.Second
		for range tokens {
			h.draw()
		}
	}
	if len(h.tokens) != 3 || h.drawn != 4 { // with the one before; the last submission is not over
		t.Fatalf("%v, %d drawn", h.tokens, h.drawn)
	}
	h.end(h.drawn)
	// No second passed, but three waited for: the sums say how they were divided.
	sum := h.tokens[1] + 2*h.tokens[2] + 4*h.tokens[3]
	if sum < -3*time.Second || sum > -3*time.Second+time.Since(began)+7 {
		t.Errorf("%v add up to %v", h.tokens, sum)
	}
	work.Drawing += time.Second
	h.end(2)
	if last := h.tokens[4]; last < -500*time.Millisecond || last > -500*time.Millisecond+time.Since(began) {
		t.Errorf("a second of drawing, two tokens: %v", last)
	}
	if m := *medianUS([]time.Duration{40 * time.Microsecond, time.Hour, 30 * time.Microsecond}); m != 40 {
		t.Errorf("median %v", m)
	}
}
