package hostdraw

import "github.com/rwkv-gpu/rwkv-gpu/engine/sample"

// Masks has the constraints of samplers make their masks. Nobody else may use the samplers meanwhile.
type Masks struct {
	p        parallel
	samplers []*sample.Sampler
}

// Add adds a sampler if its constraint is to make a mask, and reports whether it is.
func (m *Masks) Add(s *sample.Sampler) bool {
	if s == nil || !s.Unprepared() {
		return false
	}
	if m.p.each == nil {
		m.p.each = func(i int) { _ = m.samplers[i].Prepare() } // an error comes again with the draw
	}
	m.samplers = append(m.samplers, s)
	return true
}

// Begin starts to make the masks of all samplers that were added. Wait returns when they are there.
func (m *Masks) Begin() { m.p.start(len(m.samplers)) }

// Wait returns when what Begin started is done.
func (m *Masks) Wait() { m.p.wait() }

// Make makes the masks of all samplers that were added.
func (m *Masks) Make() { m.p.run(len(m.samplers)) }

// Clear forgets the samplers.
func (m *Masks) Clear() {
	clear(m.samplers)
	m.samplers = m.samplers[:0]
}

// Draw is the draw of one sequence's token.
type Draw struct {
	Sampler  *sample.Sampler
	Logits   []float32
	Logprobs bool // Logprob is asked for
	Top      int  // how many Alternatives are asked for

	// The result.
	ID           int // -1 if Err is set
	Logprob      float32
	Alternatives []sample.Candidate // the Top likeliest ids; the memory before it is used again
	Err          error
}

// Run draws the token and has the sampler accept it.
func (d *Draw) Run() {
	var err error
	if d.ID, err = d.Sampler.Sample(d.Logits); err == nil {
		err = d.Sampler.Accept(d.ID)
	}
	d.Logprob, d.Alternatives = 0, d.Alternatives[:0]
	if err == nil && (d.Logprobs || d.Top > 0) {
		d.Logprob, d.Alternatives, err = sample.Logprobs(d.Logits, d.ID, d.Top, d.Alternatives)
	}
	if d.Err = err; err != nil {
		d.ID = -1
	}
}

// Draws are the draws of several sequences, each with a sampler of its own.
type Draws struct {
	List []Draw
	p    parallel
}

// Run runs all of List.
func (d *Draws) Run() {
	if d.p.each == nil {
		d.p.each = func(i int) { d.List[i].Run() }
	}
	d.p.run(len(d.List))
}

// Clear makes List empty.
func (d *Draws) Clear() {
	clear(d.List)
	d.List = d.List[:0]
}
