package pace

import (
	"math/bits"
	"time"
)

// Pacer says how large a piece of a prompt, and how long a burst may be for a time. Sizes of pieces are powers of two, so
// that passes have few shapes. The zero value has seen nothing.
type Pacer struct {
	rate  float64       // tokens per second of recent passes; 0 before the first
	begun uint64        // sizes, by their bit, that were run before: the first of a shape takes longer
	step  time.Duration // of the last burst
}

// besideSteps is the most steps of a burst for which others wait.
const besideSteps = 4

// Step returns the time of a step of the last burst, 0 before the first.
func (p *Pacer) Step() time.Duration { return p.step }

// Steps returns how many steps of a burst fit a third of a round.
func (p *Pacer) Steps(round time.Duration) int {
	if p.step == 0 {
		return 1
	}
	return int(min(max(round/3/p.step, 1), besideSteps))
}

// Burst notes the time of a burst. Before a prompt was fed, it says how many tokens a piece may have at least.
func (p *Pacer) Burst(seqs, steps int, took time.Duration) {
	p.step = max(took/time.Duration(steps), 1)
	if p.rate == 0 {
		p.rate = float64(seqs) / p.step.Seconds()
	}
}

// FirstPiece is the size of a piece before any time is known.
const FirstPiece = 16

// Tokens returns how many tokens may be fed in a time: at most most, at least one.
func (p *Pacer) Tokens(budget time.Duration, most int) int {
	n := FirstPiece
	if p.rate > 0 {
		n = int(min(p.rate*budget.Seconds(), float64(most)))
	}
	if n = max(min(n, most), 1); n == most {
		return most
	}
	return 1 << (bits.Len(uint(n)) - 1)
}

// Learn notes that so many tokens took so long. A slower device counts at once, a faster one bit by bit.
func (p *Pacer) Learn(tokens int, took time.Duration) {
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
