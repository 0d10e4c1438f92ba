package bench

import (
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// hostTime measures the time of decoding outside waiting for the device and drawing. It takes the time of each
// submission, since the system interrupts a few of them, and these would spoil a mean.
type hostTime struct {
	tokens []time.Duration // of a token, by submission
	now    func() engine.Work
	work   engine.Work // when the present submission began
	start  time.Time
	drawn  int // tokens of it so far
}

// begin starts a run of at most so many submissions. Its times are added to have.
func (h *hostTime) begin(now func() engine.Work, have []time.Duration, most int) {
	*h = hostTime{tokens: slices.Grow(have, most), now: now, work: now(), start: time.Now()}
}

// draw counts a drawn token. The first one after a new wait begins the next submission.
func (h *hostTime) draw() {
	if h.drawn > 0 && h.now().Waited != h.work.Waited {
		h.end(h.drawn)
	}
	h.drawn++
}

// end ends a submission of some tokens.
func (h *hostTime) end(tokens int) {
	work, at := h.now(), time.Now()
	did := work.Sub(h.work)
	h.tokens = append(h.tokens, (at.Sub(h.start)-did.Waited-did.Drawing)/time.Duration(tokens))
	h.work, h.start, h.drawn = work, at, 0
}

// medianUS returns the median in microseconds.
func medianUS(times []time.Duration) *float64 {
	us := make([]float64, len(times))
	for i, t := range times {
		us[i] = t.Seconds() * 1e6
	}
	m := median(us)
	return &m
}
