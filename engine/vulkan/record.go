package vulkan

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// recorder records steps of the program in the forms chosen.
type recorder struct {
	*kernel.Recorder
	e     *runner
	forms [][]tune.Form
	work  float64 // of all that is recorded
}

func shapeOf(b *op.Batch) kernel.Shape {
	return kernel.Shape{Rows: len(b.Tokens), Seqs: len(b.Seqs), Outs: len(b.Outs)}
}

// items are what a pass consists of: steps of the program, and draws.
type items struct {
	what  string // in errors
	count int
	hold  int                  // the first item that waits for the host; 0 if none does
	begin func(*gpu.Recording) // before the first
	each  func(*recorder, int) error
	end   func(*gpu.Recording) // after the last
}

// bounds returns at which items so many submissions begin, and the number of items. A submission begins at the item
// that waits for the host, so there may be one submission more than asked for. hold is its number; 0 if no item waits.
func (u *items) bounds(submissions int) (bounds []int, hold int) {
	if u.hold > 0 {
		submissions = max(submissions, 2)
		rest := u.count - u.hold
		hold = min(max(submissions*u.hold/u.count, 1, submissions-rest), u.hold, submissions-1)
		for i := range hold {
			bounds = append(bounds, i*u.hold/hold)
		}
	}
	for i := range submissions - hold + 1 {
		bounds = append(bounds, u.hold+i*(u.count-u.hold)/(submissions-hold))
	}
	return bounds, hold
}

// forwardItems returns the items of a pass over a batch of a shape.
func (e *runner) forwardItems(s kernel.Shape) items {
	return items{what: describePass(s), count: max(len(e.prog.Steps), 1), begin: e.beginForward, each: (*recorder).step,
		end: func(rec *gpu.Recording) { e.copyLogits(rec, s.Outs) }}
}

func (e *runner) beginForward(rec *gpu.Recording) {
	rec.Copy(e.memory.tables.dev.All(), e.memory.tables.host.All())
}

// copyLogits records the copy of some outs' logits to the host.
func (e *runner) copyLogits(rec *gpu.Recording, outs int) {
	if l := e.prog.Logits; l != nil && outs > 0 {
		size := 4 * outs * l.Stride()
		rec.Copy(e.memory.logits.Range(0, size), e.logitsOf(outs))
	}
}

// logitsOf returns where some outs' logits lie in the scratch.
func (e *runner) logitsOf(outs int) gpu.Range {
	l := e.prog.Logits
	return e.memory.scratch.Range(4*e.plan.Offset[l.ID], 4*outs*l.Stride())
}

// expect notes that so much work (kernel.Effort) is recorded.
func (r *recorder) expect(work float64) {
	r.work += work
	r.Rec.Expect(r.e.pace.expected(work))
}

// step records one step of the program. Past the last step it records nothing.
func (r *recorder) step(i int) error {
	if i >= len(r.e.prog.Steps) {
		return nil
	}
	step := &r.e.prog.Steps[i]
	r.expect(kernel.Effort(step.Op, r.Shape))
	if err := r.e.steps[i].Record(r.Recorder, r.forms[i]); err != nil {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	return nil
}

// recordings records a pass, divided into so many submissions. The recordings are a pure function of the program, the
// shape, the forms and the number of submissions.
func (e *runner) recordings(u items, s kernel.Shape, chosen [][]tune.Form, submissions int) (recs []*gpu.Recording, work float64, err error) {
	bounds, _ := u.bounds(submissions)
	for i, from := range bounds[:len(bounds)-1] {
		rec := e.dev.NewRecording()
		r := &recorder{Recorder: e.env.Recorder(rec, s, &e.memory.at), e: e, forms: chosen}
		r.InPlace = true
		to := bounds[i+1]
		rec.SetName(u.what + ", " + e.describeSteps(from, to))
		if i == 0 {
			u.begin(rec)
		}
		for item := from; item < to; item++ {
			if err := u.each(r, item); err != nil {
				return nil, 0, err
			}
		}
		if to == u.count {
			u.end(rec)
		}
		recs, work = append(recs, rec), work+r.work
	}
	return recs, work, nil
}

// record makes a pass of so many submissions. If submissions is 0, the pacing chooses the number. Kernels that do not
// exist yet are compiled side by side while all submissions are recorded.
func (e *runner) record(u items, s kernel.Shape, submissions int) (*pass, error) {
	if submissions == 0 {
		submissions = e.pace.submissions(s.Rows, u.count)
	}
	f, err := e.choose(s)
	if err != nil {
		return nil, err
	}
	recs, work, err := e.recordings(u, s, f.chosen, submissions)
	if err != nil {
		return nil, err
	}
	p := &pass{items: u.count, work: work, open: f.open}
	_, p.hold = u.bounds(submissions)
	for _, rec := range recs {
		c, err := rec.End()
		if err != nil {
			p.release()
			return nil, err
		}
		p.submissions = append(p.submissions, c)
	}
	return p, nil
}

func (e *runner) recordForward(s kernel.Shape, submissions int) (*pass, error) {
	return e.record(e.forwardItems(s), s, submissions)
}

// recordSteps records the steps [from, to) alone. If stamped is set, a timestamp stands before the first step and after
// each. inPlace reports whether the other steps run before and after these.
func (e *runner) recordSteps(s kernel.Shape, from, to int, inPlace, stamped bool) (*gpu.Commands, error) {
	f, err := e.chooseSteps(s, from, to)
	if err != nil {
		return nil, err
	}
	rec := e.dev.NewRecording()
	rec.SetName(describePass(s) + ", " + e.describeSteps(from, to))
	r := &recorder{Recorder: e.env.Recorder(rec, s, &e.memory.at), e: e, forms: f.chosen}
	r.InPlace = inPlace || to-from == len(e.prog.Steps)
	e.beginForward(rec)
	if stamped {
		rec.Timestamp(0)
	}
	for i := from; i < to; i++ {
		if err := r.step(i); err != nil {
			return nil, err
		}
		if stamped {
			rec.Timestamp(i - from + 1)
		}
	}
	if to == len(e.prog.Steps) {
		e.copyLogits(rec, s.Outs)
	}
	return rec.End()
}

// describePass says in words what a pass over a batch of a shape does.
func describePass(s kernel.Shape) string {
	switch {
	case s.Rows > s.Seqs && s.Seqs > 1:
		return fmt.Sprintf("prefill of %d tokens of %d sequences", s.Rows, s.Seqs)
	case s.Rows > s.Seqs:
		return fmt.Sprintf("prefill of %d tokens", s.Rows)
	case s.Rows > 1:
		return fmt.Sprintf("decode of a token of %d sequences", s.Rows)
	}
	return "decode of a token"
}

// describeSteps names the items [from, to) of passes.
func (e *runner) describeSteps(from, to int) string {
	name := func(i int) string {
		if i %= len(e.prog.Steps) + 1; i < len(e.prog.Steps) {
			return e.prog.Steps[i].Name
		}
		return "draw"
	}
	if to-from < 2 {
		return "step " + name(from)
	}
	return "steps " + name(from) + " to " + name(to-1)
}
