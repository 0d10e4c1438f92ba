package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// splitDevice returns a Vulkan device and the CPU, or the CPU twice, as one device.
func splitDevice(t *testing.T, vulkan bool) *device.Device {
	t.Helper()
	list := []*device.Device{{Threads: 1}, {Threads: 1}}
	if vulkan {
		list[0] = vulkanDevice(t)
	}
	return device.Split(list, []float64{1, 1})
}

// Sequences that come and go on a divided model, in any pieces and company, have with Exact what they have alone, to the
// last bit; and what they have alone on one device, to the last bit if both devices are CPUs.
func TestSplitExact(t *testing.T) {
	for _, typ := range []tensor.Type{tensor.F16, tensor.Q4_K} {
		for _, vulkan := range []bool{false, true} {
			if vulkan && typ.IsBlock() && testing.Short() {
				continue
			}
			t.Run(fmt.Sprintf("%s vulkan %v", typ, vulkan), func(t *testing.T) {
				m := exactModel(t, "v7", typ)
				d := splitDevice(t, vulkan)
				c := &company{e: newEngine(t, m, d, Options{Slots: 12, Seqs: 7, Chunk: 19, Exact: true}), rng: rand.New(rand.NewPCG(8, 4))}
				lives := c.run(t, 16)
				if !vulkan {
					d = new(device.Device)
				}
				alone := newEngine(t, m, d, Options{Exact: true})
				for i, l := range lives {
					c.compare(t, i, alone, l)
				}
			})
		}
	}
}

// Models of all versions that are divided between a Vulkan device and the CPU, in either order, have the logits and
// states of one device within rounding. A state moves from the one to the other.
func TestSplitVersions(t *testing.T) {
	versions := []string{"v4", "v5.2", "v6", "v7"}
	if testing.Short() {
		versions = versions[3:]
	}
	for _, version := range versions {
		for _, typ := range []tensor.Type{tensor.F16, tensor.Q8_0} {
			t.Run(fmt.Sprintf("%s %s", version, typ), func(t *testing.T) {
				m := exactModel(t, version, typ)
				one := newEngine(t, m, new(device.Device), Options{Slots: 2})
				tokens := randomTokens(rand.New(rand.NewPCG(1, 1)), 40, m.Vocab)
				for _, list := range [][]*device.Device{{vulkanDevice(t), new(device.Device)}, {new(device.Device), vulkanDevice(t)}} {
					both := newEngine(t, m, device.Split(list, []float64{1, 1}), Options{})
					a, b := newSeq(t, one), newSeq(t, both)
					for _, run := range [][]int{tokens[:30], tokens[30:31], tokens[31:]} {
						want, got := step(t, one, input{a, run, 1}), step(t, both, input{b, run, 1})
						near(t, "logits", got[0][0], want[0][0])
						state := mustState(t, one, a)
						near(t, "state", mustState(t, both, b), state)
						if _, err := both.Restore([]*Seq{b}, [][]float32{state}); err != nil {
							t.Fatal(err)
						}
					}
				}
			})
		}
	}
}

// near wants values that are off by rounding alone.
func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	var largest float64
	for _, x := range want {
		largest = max(largest, math.Abs(float64(x)))
	}
	if off := distance(got, want); !(off < 1e-4*max(largest, 1)) {
		t.Errorf("%s: off by %g of %g", what, off, largest)
	}
}

// A divided engine counts its work, times each step of the whole program, and does not show states where they lie.
func TestSplitWork(t *testing.T) {
	m := exactModel(t, "v7", tensor.F16)
	e := newEngine(t, m, splitDevice(t, false), Options{})
	s := newSeq(t, e)
	step(t, e, input{s, []int{4, 5}, 1})
	if w := e.Stats().Work; w.Passes != 1 || w.Rows != 2 || w.Cut <= 0 {
		t.Errorf("work: %+v", w)
	}
	times, err := e.PassTimes([]Row{{Seq: s, Tokens: []int{1, 2, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(times) != len(m.Program.Steps) {
		t.Errorf("want times of %d steps, got %d", len(m.Program.Steps), len(times))
	}
	for i, took := range times {
		if _, product := m.Program.Steps[i].Op.(*op.MatMul); product && took <= 0 && m.Program.Steps[i].Layer >= 0 {
			t.Errorf("%s took %v", m.Program.Steps[i].Name, took)
		}
	}
	if err := e.Look(t.Context(), []*Seq{s}, nil); !errors.Is(err, ErrNoPlace) {
		t.Errorf("want no place of states, got %v", err)
	}
}
