package view

import (
	"testing"
	"time"
)

// While the text goes on, pictures take a twentieth of the time, however long one takes, up to a bound that keeps the
// window alive. Otherwise they come as fast as a display shows them.
func TestPace(t *testing.T) {
	start := time.Unix(100, 0)
	for _, c := range []struct {
		took, after time.Duration
		busy        bool
		want        time.Duration
	}{
		{100 * time.Microsecond, 0, true, shortest},
		{2 * time.Millisecond, 0, true, 40 * time.Millisecond},
		{2 * time.Millisecond, 30 * time.Millisecond, true, 10 * time.Millisecond},
		{2 * time.Millisecond, 0, false, shortest},
		{2 * time.Millisecond, time.Second, true, 0},
		{time.Second, 0, true, longest},
	} {
		var p pace
		p.drew(start, c.took)
		if got := p.wait(start.Add(c.after), c.busy); got != c.want {
			t.Errorf("after a picture of %v and %v (busy: %t): want %v, got %v", c.took, c.after, c.busy, c.want, got)
		}
	}
}
