package kernel

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// The numbers that model/op has too are the kernels'.
func TestOpConstants(t *testing.T) {
	for what, x := range map[string][2]float64{"the smallest norm": {glsl.MinNorm, op.MinNorm}, "the scale of decays": {glsl.DecayScale, op.DecayScale}} {
		if x[0] != x[1] {
			t.Errorf("%s: kernels have %v, model/op %v", what, x[0], x[1])
		}
	}
	for a := op.Tanh; int(a) < len(acts); a++ {
		if acts[a] == 0 {
			t.Errorf("no kernel has %s", a)
		}
	}
	for c := op.Add; int(c) < len(combines); c++ {
		if combines[c] == 0 {
			t.Errorf("no kernel has %s", c)
		}
	}
	a, c := op.Act(len(acts)), op.Combine(len(combines))
	if !strings.HasPrefix(a.String(), "Act(") || !strings.HasPrefix(c.String(), "Combine(") {
		t.Errorf("no kernel has %s or %s", a, c)
	}
}
