package vulkan

import (
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A recording is a pure function of the program, the shape, the forms and the submissions: made twice it is the same to
// the byte, and making it calls nothing of Vulkan, so it submits nothing and allocates nothing there. Other forms are
// another recording.
func TestRecordingsPure(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	k, others := kernels(t), 0
	golden.EachVersion(t, func(t *testing.T, m *model.Model) {
		e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 4, Rows: 80, Seqs: 4, Outs: 4}})
		e.env.Tuned = true
		if err := e.decode.growSampling(1); err != nil {
			t.Fatal(err)
		}
		passes := map[kernel.Shape]items{}
		for _, s := range []kernel.Shape{{Rows: 1, Seqs: 1, Outs: 1}, {Rows: 4, Seqs: 4, Outs: 4}, {Rows: 7, Seqs: 2}, {Rows: 80, Seqs: 2, Outs: 1}} {
			passes[s] = e.forwardItems(s)
		}
		drawn := draw.Shape{Seqs: 3, Steps: 2, Masked: true, Penalised: true, Logits: true}
		passes[shapeOfDraws(drawn)] = e.decode.items(drawn)
		late := draw.Shape{Seqs: 2, Steps: 2, Masked: true, Late: true}
		passes[shapeOfDraws(late)] = e.decode.items(late)
		for s, u := range passes {
			f, err := e.choose(s)
			if err != nil {
				t.Fatal(err)
			}
			record := func(chosen [][]tune.Form, submissions int) (listing string, recs []*gpu.Recording) {
				t.Helper()
				recs, work, err := e.recordings(u, s, chosen, submissions)
				bounds, _ := u.bounds(submissions)
				if err != nil || len(recs) != len(bounds)-1 || work <= 0 {
					t.Fatalf("%+v: want %d submissions, got %d of %g (%v)", s, submissions, len(recs), work, err)
				}
				for _, rec := range recs {
					listing += rec.String() + "\n"
				}
				return listing, recs
			}
			for _, submissions := range []int{1, 3, u.count} {
				p, err := e.record(u, s, submissions) // which makes kernels
				if err != nil {
					t.Fatal(err)
				}
				p.release()
				want, _ := record(f.chosen, submissions)
				buffers, blocks := e.dev.MemoryInUse()
				if err := ctl.Begin(faultvk.Fault{}); err != nil {
					t.Fatal(err)
				}
				got, _ := record(f.chosen, submissions)
				if calls, err := ctl.Trace(); err != nil || len(calls) > 0 {
					t.Errorf("%+v in %d submissions: calls of Vulkan: %v (%v)", s, submissions, calls, err)
				}
				if b, c := e.dev.MemoryInUse(); b != buffers || c != blocks {
					t.Errorf("%+v in %d submissions: memory in use was %d in %d, is %d in %d", s, submissions, buffers, blocks, b, c)
				}
				if got != want || strings.Count(got, "dispatch") < len(e.steps)-2 {
					t.Errorf("%+v in %d submissions: not the same, or not all:\n%s\n%s", s, submissions, want, got)
				}
			}
			for i, step := range e.steps {
				list := step.Choices(s)
				if len(list) == 0 || len(list[0].Forms) < 2 || list[0].Work.Provide(list[0].Forms[1]) != nil {
					continue
				}
				other := slices.Clone(f.chosen)
				other[i] = append([]tune.Form{list[0].Forms[1]}, other[i][1:]...)
				usual, _ := record(f.chosen, 1)
				unusual, recs := record(other, 1)
				c, err := recs[0].End() // which waits until its kernels are compiled: a later recording must not meet those calls
				if err != nil {
					t.Fatal(err)
				}
				c.Release()
				if others++; unusual == usual {
					t.Errorf("%+v, %s: the same in %s and %s", s, e.prog.Steps[i].Name, other[i][0], f.chosen[i][0])
				}
				break
			}
		}
	})
	if others == 0 && !k.set.Is.Narrow.Usual {
		t.Error("no pass had other forms")
	}
}
