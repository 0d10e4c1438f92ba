package kernel

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A model's token shifts may be committed in place; not those whose vectors another op meets, that are not all there,
// or that come after the commit.
func TestCommitsAlone(t *testing.T) {
	prog := golden.Demo(t, 0).Program
	at := -1
	for i := range prog.Steps {
		if _, ok := prog.Steps[i].Op.(*op.ShiftCommit); ok {
			at = i
		}
	}
	commit := prog.Steps[at].Op.(*op.ShiftCommit)
	var mixes []op.Step
	for _, s := range prog.Steps {
		if _, ok := s.Op.(*op.ShiftMix); ok {
			mixes = append(mixes, s)
		}
	}
	last := op.Step{Op: commit}
	reader := op.Step{Op: &op.LayerNorm{X: commit.Last, Y: commit.Last, NormW: commit.Last, NormB: commit.Last}}
	join := func(lists ...[]op.Step) (all []op.Step) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for name, c := range map[string]struct {
		steps []op.Step
		want  bool
	}{
		"model":        {prog.Steps, true},
		"shifts alone": {join(mixes, []op.Step{last}), true},
		"reader":       {join(mixes, []op.Step{reader, last}), false},
		"one missing":  {join(mixes[1:], []op.Step{last}), false},
		"one twice":    {join(mixes, mixes[:1], []op.Step{last}), false},
		"one after":    {join(mixes[1:], []op.Step{last}, mixes[:1]), false},
		"two commits":  {join(mixes, []op.Step{last, {Op: &op.ShiftCommit{Last: commit.Last, State: commit.State}}}), false},
		"no shift":     {[]op.Step{last}, false},
	} {
		if got := commitsAlone(&op.Program{Steps: c.steps}, commit); got != c.want {
			t.Errorf("%s: want %v, got %v", name, c.want, got)
		}
	}
}
