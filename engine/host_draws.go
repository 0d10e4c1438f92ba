package engine

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// masks has the constraints of samplers make their masks, side by side and beside the device.
type masks struct {
	parallel
	samplers []*sample.Sampler
}

// add adds a sampler whose mask may be missing, and reports whether it is.
func (m *masks) add(s *sample.Sampler) bool {
	if s == nil || !s.Unprepared() {
		return false
	}
	if m.each == nil {
		m.each = func(i int) { _ = m.samplers[i].Prepare() }
	}
	m.samplers = append(m.samplers, s)
	return true
}

// begin starts for all that were added; wait waits for the end. An error comes again with the draw.
func (m *masks) begin() { m.start(len(m.samplers)) }

// make does for all that were added what begin does, and returns when it is done.
func (m *masks) make() { m.run(len(m.samplers)) }

// clear forgets the samplers.
func (m *masks) clear() {
	clear(m.samplers)
	m.samplers = m.samplers[:0]
}

// hostDraws draws tokens on the host, side by side.
type hostDraws struct {
	parallel
	list []hostDraw
}

// hostDraw is one sequence's draw. Its continuation gets the log-probabilities.
type hostDraw struct {
	c      *Continuation
	logits []float32
	id     int
	err    error
}

func (h *hostDraws) add(c *Continuation, logits []float32) {
	h.list = append(h.list, hostDraw{c: c, logits: logits})
}

// draw draws for all that were added. The samplers accept the tokens.
func (h *hostDraws) draw(t *table) {
	if h.each == nil {
		h.each = func(i int) { h.list[i].draw() }
	}
	if len(h.list) == 0 {
		return
	}
	start := time.Now()
	h.run(len(h.list))
	t.drew(len(h.list), time.Since(start))
}

func (d *hostDraw) draw() {
	c := d.c
	d.id, c.Logprob, c.Alternatives, d.err = drawOne(c.Sampler, d.logits, c.Logprobs, c.Top, c.Alternatives)
}

// drawOne draws a token and has the sampler accept it.
func drawOne(s *sample.Sampler, logits []float32, logprobs bool, top int, into []sample.Candidate) (id int, logprob float32,
	alternatives []sample.Candidate, err error) {
	if id, err = s.Sample(logits); err == nil {
		err = s.Accept(id)
	}
	alternatives = into[:0]
	if err == nil && (logprobs || top > 0) {
		logprob, alternatives, err = sample.Logprobs(logits, id, top, alternatives)
	}
	if err != nil {
		return -1, 0, alternatives, err
	}
	return id, logprob, alternatives, nil
}

// drew notes that so many tokens were drawn on the host in some time.
func (t *table) drew(n int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Drawing += took
	t.stats.HostDraws += n
}
