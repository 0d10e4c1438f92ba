package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
)

// Options say what is run, and how.
type Options struct {
	Program  *op.Program         // whose ops, types of weights and sizes of heads are tried
	Exact    bool                // in the forms of exact executors
	Half     bool                // in the forms of executors whose products may round to float16 once; not with Exact
	Progress func(done, all int) // cases; may be nil
	Trying   func(t *Trying)     // before a way of Vulkan runs, and before a case makes its first kernels; may be nil
	Tuner    *tune.Tuner         // of Vulkan: knows the way to load; may be nil
	Threads  int                 // of the CPU; 0: as executors have it
}

// partial reports whether other executors have forms of products that are not run.
func (o *Options) partial() bool { return o.Exact || o.Half }

// Trying is what a run tries next.
type Trying struct {
	Case  string
	Way   string   // the key of what would be unfit; "" while a case is set up
	Of    Result   // names the way
	SoFar []Result // of the ways before
}

// Vulkan runs the cases on a device, in all forms that its executors may choose. What gives wrong results is added to
// the kernels' list of what is unfit. If an op has no right form left, the other way to load is judged, and replaces the
// first if all is right there. Else the device as a whole is unfit. Exact executors, and those that round to float16, do
// not have all forms of products: a product that has none left for them makes no device unfit. An error is that of a
// device that fails, or that has too little memory, and names what ran.
func Vulkan(ctx context.Context, k *vulkan.Kernels, o Options) (*Report, error) {
	loads, err := k.Loads(o.Tuner)
	if err != nil {
		return nil, err
	}
	return vulkanBy(ctx, k, loads, o)
}

// vulkanBy is Vulkan on a device with a way to load.
func vulkanBy(ctx context.Context, k *vulkan.Kernels, loads profile.Loads, o Options) (*Report, error) {
	list, err := wantedBy(o.Program).trials()
	if err != nil {
		return nil, err
	}
	j := &judge{ctx: ctx, kernels: k, o: o, loads: loads}
	if err := j.all(list); err != nil || len(j.lost) == 0 {
		return j.report(), err
	}
	if o.partial() && !j.single { // other executors have more forms of what is lost
		return j.report(), nil
	}
	first := j.lost
	known := k.Unfit()
	if !known.Has(unfit.Loading(loads.Other().String())) {
		j.loads, j.lost = loads.Other(), nil
		if err := j.all(list); err != nil {
			return j.report(), err
		}
		if len(j.lost) == 0 {
			known.Add(unfit.Loading(loads.String()), unfit.NoneLeft(first[0]))
			return j.report(), nil
		}
	}
	j.lost = first
	known.Add(unfit.Whole, unfit.NoneLeft(first[0]))
	return j.report(), nil
}

// judge is a run of the cases under way.
type judge struct {
	ctx     context.Context // of one call of Vulkan
	kernels *vulkan.Kernels
	o       Options
	loads   profile.Loads
	table   table
	lost    []string // ops for which no right form is left
	ran     []unfit.Way
	single  bool // reports whether one of them has a single form, which all executors share
}

func (j *judge) report() *Report {
	return &Report{Results: j.table.list, Loads: j.loads.String(), Lost: j.lost, ways: j.ran, partial: j.o.partial()}
}

func (j *judge) all(list []trial) error {
	for i := range list {
		if err := j.ctx.Err(); err != nil {
			return err
		}
		if err := j.trial(&list[i]); err != nil {
			return err
		}
		if j.o.Progress != nil {
			j.o.Progress(i+1, len(list))
		}
	}
	return nil
}

// way is a way to run a trial's step.
type way struct {
	unfit.Way
	choice *kernel.Choice // whose form it is; nil if there is nothing to choose
	need   opcase.Accuracy
}

// trial runs a case in every way that is not known to be unfit.
func (j *judge) trial(t *trial) (err error) {
	tuner := tune.New("", true, nil) // which measures nothing, and chooses what is asked for
	tuner.Budget = 0
	o := vulkan.Options{Sizes: t.Sizes, Guard: opcase.Guard, Loads: j.loads, Tuner: tuner, Exact: j.o.Exact, Half: j.o.Half}
	if t.sparse {
		o.MatMul = form.Sparse
	}
	j.trying(t, "", Result{})
	e, err := vulkan.New(j.kernels, t.Prog, o)
	if err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	p := e.Prober()
	if err := t.Start(p); err != nil {
		return fmt.Errorf("%s: %w", t.name, err)
	}
	for ran := map[unfit.Way]bool{}; ; {
		list := j.ways(t, p)
		i := slices.IndexFunc(list, func(w way) bool { return !ran[w.Way] })
		if i < 0 {
			return nil
		}
		w := list[i]
		ran[w.Way] = true
		if err := j.run(t, p, tuner, w); err != nil {
			return fmt.Errorf("%s in %s: %w", w, t.name, err)
		}
	}
}

// ways returns the ways that the executor may take for the case now.
func (j *judge) ways(t *trial, p *vulkan.Prober) []way {
	choices := p.Choices(0)
	if t.sparse && len(choices) > 1 { // a product that skips zeros is all that runs
		choices = choices[len(choices)-1:]
	}
	what := t.typ
	if t.op != "MatMul" {
		what = t.op
	}
	of := func(f tune.Form) unfit.Way { return unfit.Way{Loads: j.loads.String(), What: what, Form: f} }
	if len(choices) == 0 {
		w := of(tune.Form{})
		if _, ok := t.Prog.Steps[0].Op.(*op.WKV7); ok {
			w.Form.Kernel = kernel.Stepwise
		}
		if t.typ != "" {
			w.What += " of " + t.typ
		}
		if j.kernels.Unfit().Has(w.String()) {
			j.lose(w.What, t.op)
			return nil
		}
		return []way{{w, nil, opcase.Float32}}
	}
	need := opcase.Float32
	if slices.ContainsFunc(choices, rounds) {
		need = opcase.Float16
	}
	var list []way
	for i := range choices {
		for _, f := range choices[i].Forms {
			if kernel.IsNone(f) {
				j.lose(what, t.op)
				continue
			}
			list = append(list, way{of(f), &choices[i], need})
		}
	}
	return list
}

// rounds reports whether a product has forms that round numbers to float16. If one of a group's products has, the results
// of the group are judged like those, whatever form the others take.
func rounds(c kernel.Choice) bool {
	return slices.ContainsFunc(c.Forms, func(f tune.Form) bool { return form.Rounds(f.Kernel) })
}

// lose notes that an op has no right form left. Products alone have forms that some executors lack.
func (j *judge) lose(what, op string) {
	j.single = j.single || op != "MatMul"
	if !slices.Contains(j.lost, what) {
		j.lost = append(j.lost, what)
	}
}

// run runs the case in one way.
func (j *judge) run(t *trial, p *vulkan.Prober, tuner *tune.Tuner, w way) error {
	if w.choice != nil {
		tuner.Keep(&w.choice.Choice, w.Form, 0)
	}
	name := Result{Op: t.op, Type: t.typ, Form: formName(w.Form), Loads: w.Loads}
	j.trying(t, w.String(), name)
	r, err := t.Check(p, w.need, func() error { return p.RunStep(0) })
	fault, err := faultOf(r.Faults, err)
	if err != nil {
		return err
	}
	if fault != "" {
		fault = t.name + ": " + fault
	}
	j.ran = append(j.ran, w.Way)
	j.table.add(name, r.MaxAbs, r.NMSE, fault)
	if fault == "" {
		return nil
	}
	j.kernels.Unfit().Add(w.String(), fault)
	if w.choice == nil && w.Form == (tune.Form{}) {
		j.lose(w.What, t.op)
	}
	return nil
}

// trying tells what runs next.
func (j *judge) trying(t *trial, way string, of Result) {
	if j.o.Trying != nil {
		j.o.Trying(&Trying{Case: t.name, Way: way, Of: of, SoFar: j.table.list})
	}
}

// faultOf returns what is wrong with a way whose run had an error or faults. An error that says nothing of the way, such
// as that of a lack of memory, is returned.
func faultOf(faults []string, err error) (string, error) {
	switch {
	case errors.Is(err, gpu.ErrUnsupported) && !errors.Is(err, gpu.ErrOutOfMemory):
		return fmt.Sprintf("could not run: %v", err), nil
	case err != nil:
		return "", err
	case len(faults) > 0:
		return faults[0], nil
	}
	return "", nil
}

func formName(f tune.Form) string {
	if f == (tune.Form{}) {
		return ""
	}
	return f.String()
}
