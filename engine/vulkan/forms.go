package vulkan

import (
	"context"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/trial"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// forms are the forms in which the steps of a pass run. With the program and the shape they decide what is recorded.
type forms struct {
	chosen [][]tune.Form // by step
	open   []openChoice  // choices for which the tuner may find a faster form
}

// openChoice is a choice made before the tuner had tried all of its forms.
type openChoice struct {
	kernel.Choice
	used tune.Form
}

// fewRows is the number of rows up to which nothing is measured for the rest of a prompt, in one sequence: measuring
// would take longer than a faster form could ever save.
const fewRows = 8

// choose returns the best known forms for passes of a shape, and provides what these forms read besides the weights.
func (e *runner) choose(s kernel.Shape) (forms, error) { return e.chooseSteps(s, 0, len(e.steps)) }

// chooseSteps is choose for the steps [from, to) alone.
func (e *runner) chooseSteps(s kernel.Shape, from, to int) (forms, error) {
	f := forms{chosen: make([][]tune.Form, len(e.steps))}
	rest := s.Seqs == 1 && s.Rows > 1 && s.Rows <= fewRows
	for i := from; i < to; i++ {
		for _, c := range e.steps[i].Choices(s) {
			used, settled := e.tuner.Chosen(&c.Choice)
			err := c.Work.Provide(used)
			if tune.Refused(err) && used != c.Forms[0] { // no memory for it
				used = c.Forms[0]
				err = c.Work.Provide(used)
			}
			if err != nil {
				return forms{}, err
			}
			f.chosen[i] = append(f.chosen[i], used)
			if !settled && !rest && !slices.ContainsFunc(f.open, func(have openChoice) bool { return have.Key == c.Key }) {
				f.open = append(f.open, openChoice{c, used})
			}
		}
	}
	return f, nil
}

// settled returns the pass of a shape, in the best forms that the tuner has time to find.
func settled[S comparable](ctx context.Context, e *runner, c *passCache[S], s S) (*pass, error) {
	p, err := c.get(s)
	if err != nil || len(p.open) == 0 {
		return p, err
	}
	changed, err := e.measureOpen(ctx, p)
	if err != nil || !changed {
		return p, err
	}
	return c.renew(s)
}

// measureOpen measures the choices that a pass leaves open. It reports whether a better form is known now, so that the
// pass should be recorded anew.
func (e *runner) measureOpen(ctx context.Context, p *pass) (changed bool, err error) {
	bench := e.bench()
	open := p.open[:0]
	for i, c := range p.open {
		best, done := e.tuner.Chosen(&c.Choice.Choice)
		if !done && ctx.Err() == nil {
			err := e.tuner.Measure(ctx, &c.Choice.Choice, func() (tune.Trial, error) { return bench.Of(c.Work), nil })
			if tune.Refused(err) {
				continue // this pass keeps the usual form
			}
			if err != nil {
				p.open = append(open, p.open[i:]...)
				return false, err
			}
			best, done = e.tuner.Chosen(&c.Choice.Choice)
		}
		better := best != c.used
		changed = changed || better
		if !done || better { // until the pass is recorded anew
			open = append(open, c)
		}
	}
	p.open = open
	return changed, nil
}

// bench returns the bench on which forms are compared.
func (e *runner) bench() *trial.Bench {
	return &trial.Bench{Dev: e.dev, Expected: e.pace.expected, Activations: e.activations, Chosen: func(c *kernel.Choice) tune.Form {
		f, _ := e.tuner.Chosen(&c.Choice)
		return f
	}}
}

// activations returns what an input holds after so many steps, for the first row of the staged batch. The steps run in
// scratch of their own and with a copy of the slot's state.
func (e *runner) activations(steps int, in op.View) (x []float32, err error) {
	const table = op.Align // elements of each of four tables
	one := op.NewPlan(e.prog, op.Sizes{Slots: 1, Rows: 1, Seqs: 1}, 0)
	scratch, err := e.dev.NewBuffer("scratch (trial)", 4*max(e.plan.Scratch, op.Align), gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	defer scratch.Release()
	rest, err := e.dev.NewBuffer("tables and state (trial)", 4*(4*table+one.State), gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	defer rest.Release()
	staged := &e.memory.tables
	words := make([]byte, 4*4*table)
	gpu.Uint32s(words)[0] = staged.hostWords[staged.tokensAt]
	gpu.Uint32s(words)[2*table+2] = 1 // rows of the sequence
	if err := e.dev.Upload(rest.Range(0, len(words)), words); err != nil {
		return nil, err
	}
	tables := func(i, n int) gpu.Range { return rest.Range(4*i*table, 4*n) }
	at := &kernel.Places{Plan: e.plan, Scratch: scratch, State: kernel.StatesIn(rest, 4*4*table, e.prog, one),
		Tokens: tables(0, 1), RowSeq: tables(1, 1), Spans: tables(2, 3), Outs: tables(3, 1)}
	shape := kernel.Shape{Rows: 1, Seqs: 1}
	f, err := e.chooseSteps(shape, 0, steps)
	if err != nil {
		return nil, err
	}
	rec := e.dev.NewRecording()
	rec.SetName("steps for the activations of a tuning trial")
	rec.Fill(scratch.All(), 0) // kernels may read padding, which has to be finite
	slot, err := e.states.Slot(int(staged.hostWords[staged.spansAt]))
	if err != nil {
		return nil, err
	}
	for i, o := range e.prog.Of(op.State) {
		to := at.State[o.ID]
		rec.Fill(to, 0)
		to.Size = slot[i].Size
		rec.Copy(to, slot[i])
	}
	r := &recorder{Recorder: e.env.Recorder(rec, shape, at), e: e, forms: f.chosen}
	for i := range steps {
		if err := r.step(i); err != nil {
			return nil, err
		}
	}
	if err := rec.Run(); err != nil {
		return nil, err
	}
	data := make([]byte, tensor.F32.Bytes(in.Len))
	if err := e.dev.Download(data, scratch.Range(4*(e.plan.Offset[in.Of.ID]+in.Off), len(data))); err != nil {
		return nil, err
	}
	return gpu.Float32s(data), nil
}
