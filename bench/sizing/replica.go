package main

import (
	"math/bits"
	"slices"
)

// replica computes answers in rounds, as the scheduler of a server does.
type replica struct {
	c       *cluster
	waiting []*call
	active  []*call
	running bool    // reports whether a round is under way
	extra   float64 // seconds of the host's work, for the next round
	busy    float64 // seconds of all rounds

	told int              // requests that it had when it told of its load last
	sent map[*replica]int // its own calls of others since they told of theirs
}

// call is a turn on its way.
type call struct {
	s      *session
	number int // of the turn
	front  *replica
	at     *replica
	holder *replica // of the state; nil for none
	asked  float64
	first  float64 // when the first token came; 0 before
	kept   float64 // when the state behind the answer before is in NATS
	left   int     // tokens of the prompt that are not read
	drawn  int
}

func (x *call) turn() *turn { return &x.s.Turns[x.number] }

// has is how many requests a replica has.
func (r *replica) has() int { return len(r.waiting) + len(r.active) }

// host adds work of the host. It returns after how long it is done: at once beside a device, and else in turns with the
// round that is under way.
func (r *replica) host(seconds float64) float64 {
	seconds /= r.c.Share
	if !r.c.OneCore {
		return seconds
	}
	if r.running {
		r.extra += seconds
		return 2 * seconds
	}
	r.busy += seconds
	return seconds
}

// begin begins a round if there is something to do and none is under way.
func (r *replica) begin() {
	if r.running {
		return
	}
	for len(r.waiting) > 0 && len(r.active) < r.c.Sequences {
		r.active = append(r.active, r.waiting[0])
		r.waiting = slices.Delete(r.waiting, 0, 1)
	}
	if len(r.active) == 0 {
		return
	}
	steps, took, pieces := r.round()
	took = took/r.c.Share + r.extra
	r.busy, r.extra, r.running = r.busy+took, 0, true
	r.c.after(took, func() { r.end(steps, pieces) })
}

// Numbers of the scheduler: the most steps of a burst with and without others that wait.
const (
	mostSteps   = 32
	besideSteps = 4
)

// round returns the steps of the next round, how long it takes on a whole device, and the tokens of prompts that each
// sequence reads in it.
func (r *replica) round() (steps int, took float64, pieces []int) {
	drawing, reading, host := 0, 0, 0.0
	steps = mostSteps
	for _, x := range r.active {
		if x.left > 0 {
			reading++
			continue
		}
		drawing++
		host += r.c.perToken(x)
		steps = min(steps, x.turn().Answer-x.drawn)
	}
	latency := r.c.Latency * r.c.Share // of a whole device
	if drawing == 0 {
		steps = 0
	} else {
		one := between(r.c.Steps, drawing) + host
		if reading > 0 || len(r.waiting) > 0 {
			steps = min(steps, max(1, min(besideSteps, int(latency/3/one))))
		}
		took = float64(steps) * one
	}
	if reading == 0 {
		return steps, took, nil
	}
	most := r.c.Chunk
	if drawing > 0 {
		most = r.c.piece(latency / 3)
	}
	pieces, left := make([]int, len(r.active)), most
	share := max((most+reading-1)/reading, 1)
	for i, x := range r.active {
		if x.left > 0 && left > 0 {
			pieces[i] = min(x.left, share, left)
			left -= pieces[i]
		}
	}
	return steps, took + between(r.c.Reads, most-left), pieces
}

// perToken is the host's work for a token in the replica that computes, where that delays rounds.
func (c *costs) perToken(x *call) float64 {
	switch {
	case !c.OneCore:
		return 0
	case x.at == x.front:
		return c.Own.Token
	}
	return c.Worker.Token
}

// piece is how many tokens of prompts fit a time, a power of two.
func (c *costs) piece(seconds float64) int {
	last := c.Reads[len(c.Reads)-1]
	n := max(min(int(float64(last.N)/last.Seconds*seconds), c.Chunk), 1)
	return 1 << (bits.Len(uint(n)) - 1)
}

// end ends a round: tokens are told, and answers that are whole go.
func (r *replica) end(steps int, pieces []int) {
	r.running = false
	kept := r.active[:0]
	for i, x := range r.active {
		told := steps
		if x.left > 0 {
			if told = 0; pieces != nil {
				x.left -= pieces[i]
			}
			if x.left == 0 { // the pass that reads the last token draws the first one
				told = 1
			}
		}
		if x.drawn += told; told > 0 {
			r.c.told(x, told)
		}
		if x.left == 0 && x.drawn >= x.turn().Answer {
			r.c.done(x)
			continue
		}
		kept = append(kept, x)
	}
	clear(r.active[len(kept):])
	r.active = kept
	r.begin()
}
