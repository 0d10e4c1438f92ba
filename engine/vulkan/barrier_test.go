package vulkan

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Each barrier of every version's passes is missed where it is left out, by the validation layer or by what the ops say
// of their operands, and none that is there: under these eyes the other tests run. Older layers see no write after a
// write. Barriers follow from ops, whatever their kernels, so a short run on a processor has one version.
func TestEveryBarrier(t *testing.T) {
	numbers(t)
	gputest.Instance(t)
	if !gpu.HasValidation() {
		t.Skip("no validation layer installed")
	}
	if os.Getenv("RWKV_POISON") == "1" {
		t.Skip("RWKV_POISON=1: the layer does not watch for barriers")
	}
	w := &watch{omitted: -1}
	k := kernels(t, gpu.DeviceOptions{OmitBarrier: w.omit})
	golden.EachVersion(t, func(t *testing.T, m *model.Model) {
		if testing.Short() && k.set.Is.CPU && m.Version != golden.Usual {
			return
		}
		for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
			e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 2, Rows: 40, Seqs: 2, Outs: 2}, Loads: l, Draws: DeviceDraws})
			for name, p := range watchedPasses(t, e) {
				name = l.String() + ", " + name
				w.omitted = -1
				barriers, missed := w.misses(t, e, p)
				if missed != "" || barriers < 10 {
					t.Errorf("%s: missed with all %d barriers: %q", name, barriers, missed)
				}
				for w.omitted = 1; w.omitted <= barriers; w.omitted++ {
					if _, missed := w.misses(t, e, p); missed == "" && !w.needless(p) {
						t.Errorf("%s: barrier %d of %d is left out, and nobody misses it", name, w.omitted, barriers)
					}
				}
				for _, w.omitted = range []int{-1, 0} {
					heard := gputest.Provoke(t, func() { p.runDivided(t, e) })
					if slices.ContainsFunc(heard, isHazard) != (w.omitted == 0) {
						t.Errorf("%s: barriers between submissions left out: %t, heard: %q", name, w.omitted == 0, heard)
					}
				}
				w.omitted = -1
			}
		}
	})
}

// watch leaves out a barrier of a recording, if it is to, and remembers where the others stand.
type watch struct {
	omitted int
	rec     *gpu.Recording
	at      []int // the commands before each barrier
	without int   // the commands before the one left out
	first   []int // the commands before each item
}

func (w *watch) omit(n int) bool {
	if n > 0 && w.rec != nil {
		if n == w.omitted {
			w.without = w.commands()
		} else {
			w.at = append(w.at, w.commands())
		}
	}
	return n == w.omitted
}

func (w *watch) commands() int { return w.rec.Stats().Dispatches + w.rec.Stats().Copies }

// between reports whether a barrier stands after the last command of an item, and before the first of a later one, or
// only within that.
func (w *watch) between(i, j int) (before, within bool) {
	for _, at := range w.at {
		before = before || w.first[i+1] <= at && at <= w.first[j]
		within = within || w.first[i+1] <= at && at < w.first[j+1]
	}
	return before, within && !before
}

// needless reports whether the barrier left out stood within a product, whose dispatches write apart in one range.
func (w *watch) needless(p *watchedPass) bool {
	for i, item := range p.items {
		if item.product && w.first[i] < w.without && w.without < w.first[i+1] {
			return true
		}
	}
	return false
}

// misses records a pass and returns how many barriers it needs, and who misses one. Where one item's work needs to be
// done before no more than the second command of another, that is for the layer to see.
func (w *watch) misses(t *testing.T, e *Prober, p *watchedPass) (barriers int, who string) {
	t.Helper()
	heard := gputest.Provoke(t, func() {
		w.rec, w.at, w.first = e.dev.NewRecording(), nil, nil
		f, err := e.choose(p.shape)
		if err != nil {
			t.Fatal(err)
		}
		r := &recorder{Recorder: e.env.Recorder(w.rec, p.shape, &e.memory.at), e: e.runner, forms: f.chosen}
		p.begin(w.rec)
		for i := range p.items {
			w.first = append(w.first, w.commands())
			if err := p.items[i].record(r); err != nil {
				t.Fatal(err)
			}
		}
		w.first = append(w.first, w.commands())
		c, err := w.rec.End()
		if err != nil {
			t.Fatal(err)
		}
		barriers = c.Stats().Barriers
		c.Release()
	})
	w.rec = nil
	for pair := range p.pairs {
		if before, within := w.between(pair[0], pair[1]); within && w.omitted < 0 {
			delete(p.pairs, pair)
		} else if !before {
			who = "operands"
		}
	}
	if slices.ContainsFunc(heard, isHazard) {
		who += " layer"
	}
	return barriers, who
}

// isHazard reports whether a message is about a missing barrier, in the words of older layers or newer ones.
func isHazard(message string) bool {
	return strings.Contains(message, "SYNC-HAZARD") || strings.Contains(message, "hazard detected")
}

// watchedPass is a pass with what must not run at once: pairs of items of which the first one's work the second meets.
type watchedPass struct {
	shape       kernel.Shape
	begin       func(*gpu.Recording)
	items       []watchedItem
	pairs       map[[2]int]bool
	submissions func(n int) (*pass, error)
}

type watchedItem struct {
	product bool
	record  func(r *recorder) error
	touches func(visit func(v op.View, a op.Access))
}

// watchedPasses returns a pass over one token of two sequences, one over more, and a decode with draws, after each of
// them has run once.
func watchedPasses(t *testing.T, e *Prober) map[string]*watchedPass {
	t.Helper()
	var steps []watchedItem
	for i := range e.prog.Steps {
		_, product := e.prog.Steps[i].Op.(*op.MatMul)
		steps = append(steps, watchedItem{product, func(r *recorder) error { return r.step(i) }, func(visit func(op.View, op.Access)) {
			e.prog.Steps[i].Op.Operands(func(_ string, v op.View, a op.Access) { visit(v, a) })
		}})
	}
	list := map[string]*watchedPass{}
	for name, rows := range map[string]int{"one token each": 2, "more tokens": 40} {
		var b op.Batch
		b.Add(0, make([]int, rows/2), 1)
		b.Add(1, make([]int, rows/2), 1)
		if err := e.Forward(&b); err != nil {
			t.Fatal(err)
		}
		s := kernel.Shape{Rows: rows, Seqs: 2, Outs: 2}
		list[name] = &watchedPass{shape: s, begin: e.beginForward, items: steps,
			submissions: func(n int) (*pass, error) { return e.recordForward(s, n) }}
	}
	draws := make([]Draw, 2)
	for i := range draws {
		s, err := sample.New(sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.5, Frequency: 0.5, Ban: []int{1}}, sample.NewVocabulary(e.prog.Vocab, nil))
		if err != nil {
			t.Fatal(err)
		}
		draws[i] = Draw{Slot: i, Sampler: s}
	}
	if _, err := e.Decode(draws, 2); err != nil {
		t.Fatal(err)
	}
	k := draw.Shape{Seqs: 2, Steps: 2, Masked: true, Penalised: true}
	decode := &watchedPass{shape: kernel.Shape{Rows: 2, Seqs: 2, Outs: 2}, begin: func(rec *gpu.Recording) {
		e.beginForward(rec)
		e.decode.inputs.Upload(rec, k)
	}, submissions: func(n int) (*pass, error) { return e.decode.record(k, n) }}
	for step := range k.Steps {
		decode.items = append(append(decode.items, steps...), watchedItem{false,
			func(r *recorder) error { return e.decode.draw(r, k, step) },
			func(visit func(op.View, op.Access)) { visit(e.prog.Logits.All(), op.Update) }})
	}
	list["decode"] = decode
	for _, p := range list {
		p.findPairs(e)
	}
	return list
}

// findPairs goes through the elements that the items touch, one by one.
func (p *watchedPass) findPairs(e *Prober) {
	p.pairs = map[[2]int]bool{}
	last := func(n int) []int { return slices.Repeat([]int{-1}, n) }
	var read, written [2][]int // the last item that did, by element of scratch and state
	for arena, n := range []int{e.plan.Scratch, e.plan.State} {
		read[arena], written[arena] = last(n), last(n)
	}
	each := func(v op.View, do func(arena, element int)) {
		arena, vectors := 0, p.shape.Count(v.Of.Kind)
		if v.Of.Kind == op.State {
			arena, vectors = 1, p.shape.Seqs // of the first slots
		}
		for i := range vectors {
			for j := range v.Len {
				do(arena, e.plan.Offset[v.Of.ID]+i*v.Of.Stride()+v.Off+j)
			}
		}
	}
	for j, item := range p.items {
		meet := func(i int) {
			if i >= 0 && i != j {
				p.pairs[[2]int{i, j}] = true
			}
		}
		item.touches(func(v op.View, a op.Access) {
			if v.Of == nil || v.Of.Kind == op.Weight {
				return
			}
			each(v, func(arena, x int) {
				meet(written[arena][x])
				if a&op.Write != 0 {
					meet(read[arena][x])
				}
			})
		})
		item.touches(func(v op.View, a op.Access) {
			if v.Of == nil || v.Of.Kind == op.Weight {
				return
			}
			each(v, func(arena, x int) {
				if a&op.Read != 0 {
					read[arena][x] = j
				}
				if a&op.Write != 0 {
					written[arena][x] = j
				}
			})
		})
	}
}

// runDivided runs the pass in four submissions, of which two are under way at a time.
func (p *watchedPass) runDivided(t *testing.T, e *Prober) {
	t.Helper()
	submissions, err := p.submissions(4)
	if err != nil {
		t.Fatal(err)
	}
	defer submissions.release()
	if err := e.run(t.Context(), submissions, 2, nil); err != nil {
		t.Fatal(err)
	}
}
