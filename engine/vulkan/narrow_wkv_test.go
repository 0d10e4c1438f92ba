package vulkan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/optest"
)

// Heads of 64 hold in the forms that the device would not choose: by wkv6_narrow and wkv7_narrow without texels, and
// with them or by the other kernels, whichever TestOps does not have.
func TestOtherHeads(t *testing.T) {
	numbers(t)
	k := kernels(t)
	if !profile.RunsQuads(k.set.Dev.Info()) {
		t.Skipf("%s has not what they need", k.set.Dev.Info().Name)
	}
	s, usual := &k.set.Is, k.set.Is
	defer func() { *s = usual }()
	run := func(name string) {
		t.Run(name, func(t *testing.T) {
			optest.RunIf(t, openerOf(k, "", profile.Buffers), func(name string) bool {
				return (isWKV7(name) || strings.HasPrefix(name, "WKV6/")) && !strings.Contains(name, "/N")
			})
		})
	}
	s.Narrow.Quads, s.TexelBytes = true, 0
	run("narrow")
	*s = usual
	if s.Narrow.Quads = !usual.Narrow.Quads; s.Narrow.Quads {
		run("narrow texels")
	} else {
		run("others")
	}
}

// A sequence that has ended within a submission of several steps keeps its state.
func TestEndedKeepsState(t *testing.T) {
	k := kernels(t)
	defer func(quads bool) { k.set.Is.Narrow.Quads = quads }(k.set.Is.Narrow.Quads)
	for _, k.set.Is.Narrow.Quads = range []bool{false, profile.RunsQuads(k.set.Dev.Info())} { // wkv7_step, and wkv7_narrow
		t.Run(fmt.Sprintf("quads %t", k.set.Is.Narrow.Quads), func(t *testing.T) { endedKeepsState(t, k) })
	}
}

func endedKeepsState(t *testing.T, k *Kernels) {
	m := golden.Demo(t, 0)
	e := execWith(t, k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}, Loads: profile.Buffers})
	var b op.Batch
	b.Add(0, []int{1}, 1)
	if err := e.Stage(&b); err != nil {
		t.Fatal(err)
	}
	keeps := func(name string, of op.Op, state *op.Operand, run func(step int) error) {
		i := slices.IndexFunc(m.Program.Steps, func(s op.Step) bool { return s.Op == of })
		want := slices.Repeat([]float32{0.5}, state.Width)
		for _, ended := range []bool{true, false} {
			if err := e.Write(state, want); err != nil {
				t.Fatal(err)
			}
			if e.batch.Seqs[0].Len = 1; ended {
				e.batch.Seqs[0].Len = 0
			}
			if err := run(i); err != nil {
				t.Fatal(err)
			}
			got, err := e.Read(state)
			if err != nil || slices.Equal(got, want) != ended {
				t.Errorf("%s: ended: %t: the state is the same: %t (%v)", name, ended, !ended, err)
			}
		}
	}
	seen := map[string]bool{}
	for _, s := range m.Program.Steps {
		name := fmt.Sprintf("%T", s.Op)
		if seen[name] {
			continue
		}
		seen[name] = true
		switch o := s.Op.(type) {
		case *op.WKV7:
			if o.N != emulated.Head {
				t.Fatalf("heads of %d: want %d", o.N, emulated.Head)
			}
			keeps(name, o, o.State, e.RunStep)
		case *op.ShiftMix: // which commits in place
			keeps(name, o, o.State, func(i int) error { return e.RunSteps(i, i+1) })
		case *op.ShiftCommit:
			keeps(name, o, o.State, e.RunStep)
		}
	}
}
