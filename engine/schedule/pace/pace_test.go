package pace

import (
	"testing"
	"time"
)

// A pacer's pieces come to fill the time, on either side of a change of speed.
func TestPacer(t *testing.T) {
	var p Pacer
	if n := p.Tokens(time.Second, 256); n != FirstPiece {
		t.Errorf("first %d tokens", n)
	}
	for _, rate := range []float64{100, 4000, 10, 1e6, 0.1} {
		for range 40 {
			n := p.Tokens(80*time.Millisecond, 256)
			p.Learn(n, time.Duration(float64(n)/rate*float64(time.Second)))
		}
		n := float64(p.Tokens(80*time.Millisecond, 256))
		want := min(max(rate*0.08, 1), 256)
		if n > want*1.01 || n < want/2.2 {
			t.Errorf("at %g tokens a second: %g tokens, want about %g", rate, n, want)
		}
	}
}
