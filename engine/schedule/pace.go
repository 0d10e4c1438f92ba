package schedule

import (
	"math/bits"
	"time"
)

// pacer says how large a piece of a prompt may be for a time. Sizes are powers of two, so that passes have few shapes.
type pacer struct {
	rate  float64       // tokens per second of recent passes; 0 before the first
	begun uint64        // sizes, by their bit, that were run before: the first of a shape takes longer
	step  time.Duration // of the last burst
}

// besideSteps is the most steps of a burst for which others wait.
const besideSteps = 4

// steps returns how many steps of a burst fit a third of a round.
func (p *pacer) steps(round time.Duration) int {
	if p.step == 0 {
		return 1
	}
	return int(min(max(round/3/p.step, 1), besideSteps))
}

// burst notes the time of a burst. Before a prompt was fed, it says how many tokens a piece may have at least.
func (p *pacer) burst(seqs, steps int, took time.Duration) {
	p.step = max(took/time.Duration(steps), 1)
	if p.rate == 0 {
		p.rate = float64(seqs) / p.step.Seconds()
	}
}

// firstPiece is the size of a piece before any time is known.
const firstPiece = 16

// tokens returns how many tokens may be fed in a time: at most most, at least one.
func (p *pacer) tokens(budget time.Duration, most int) int {
	n := firstPiece
	if p.rate > 0 {
		n = int(min(p.rate*budget.Seconds(), float64(most)))
	}
	if n = max(min(n, most), 1); n == most {
		return most
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// learn notes that so many tokens took so long. A slower device counts at once, a faster one bit by bit.
func (p *pacer) learn(tokens int, took time.Duration) {
	rate := float64(tokens) / max(took.Seconds(), 1e-6)
	bit := uint64(1) << (bits.Len(uint(tokens)) & 63)
	first := p.begun&bit == 0
	p.begun |= bit
	switch {
	case p.rate == 0:
		p.rate = rate
	case rate > p.rate:
		p.rate += (rate - p.rate) / 2
	case !first:
		p.rate = rate
	}
}
