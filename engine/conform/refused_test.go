package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// A way is wrong if its results are, or if the device cannot run it at all. A lack of memory or a lost device says
// nothing of a way: the run fails.
func TestFaultOf(t *testing.T) {
	faults := []string{"off by 2", "off by 3"}
	for _, c := range []struct {
		faults []string
		err    error
		want   string
		failed bool
	}{
		{nil, nil, "", false},
		{faults, nil, "off by 2", false},
		{nil, fmt.Errorf("pipeline: %w", gpu.ErrUnsupported), "pipeline", false},
		{nil, fmt.Errorf("buffer: %w", gpu.ErrOutOfMemory), "", true},
		{faults, gpu.ErrOutOfMemory, "", true},
		{nil, gpu.ErrDeviceLost, "", true},
	} {
		got, err := faultOf(c.faults, c.err)
		if c.failed != (err != nil) || c.failed && !errors.Is(err, c.err) || (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%q, %v: got %q, %v", c.faults, c.err, got, err)
		}
	}
}

// A run that is broken off while it judges the other way to load says nothing of the device as a whole.
func TestBrokenOffOtherLoads(t *testing.T) {
	prog := only(demoModel(t), "LayerNorm")
	b := breaker{modules: modules(t, "layer_norm.buf.spv")}
	k := b.on(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := 0
	_, err := vulkanBy(ctx, k, profile.Buffers, Options{Program: prog, Progress: func(done, all int) {
		if done == 1 {
			runs++
		}
		if all < 2 {
			t.Fatalf("want more cases than %d", all)
		}
		if runs == 2 {
			cancel()
		}
	}})
	known := k.Unfit()
	if !errors.Is(err, context.Canceled) || runs != 2 || known.Has(unfit.Whole) || known.Has(unfit.Loading(profile.Buffers.String())) {
		ways, _ := known.All()
		t.Errorf("%v after %d runs, unfit: %q", err, runs, ways)
	}
}

// A product without a right form for exact executors, or for those that round, shuts out neither a way to load nor the
// device, since others have more forms. An op with one form does, for all.
func TestBrokenPartial(t *testing.T) {
	m := demoModel(t)
	for name, c := range map[string]struct {
		op, modules string
		o           Options
		shut        bool
	}{
		"product": {"MatMul", "matmul_*.spv", Options{Exact: true}, false},
		"op":      {"LayerNorm", "layer_norm.*.spv", Options{Half: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := breaker{modules: modules(t, c.modules)}
			k := b.on(t)
			c.o.Program = only(m, c.op)
			r, err := Vulkan(t.Context(), k, c.o)
			if err != nil || len(r.Lost) == 0 || b.met == 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			ways, _ := k.Unfit().All()
			shut := slices.ContainsFunc(ways, func(w string) bool { return w == unfit.Whole || strings.HasPrefix(w, unfit.Loading("")) })
			if len(ways) == 0 || shut != c.shut {
				t.Errorf("unfit: %q", ways)
			}
		})
	}
}

// A run judges the ways that ran, and through them the way to load and the device whose reason is an op that it found
// right. What it did not try stays, and a run of exact forms, or of those that round, leaves the device as it is.
func TestJudged(t *testing.T) {
	var b breaker
	k := b.on(t)
	prog := only(demoModel(t), "LayerNorm")
	for _, o := range []Options{{Program: prog}, {Program: prog, Exact: true}, {Program: prog, Half: true}} {
		all := !o.Exact && !o.Half
		r, err := vulkanBy(t.Context(), k, profile.Buffers, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			way, why string
			want     bool
		}{
			{"LayerNorm (buffers)", "", true},
			{"LayerNorm (texels)", "", false},
			{"F16 reg 8x1 (buffers)", "", false},
			{unfit.Whole, unfit.NoneLeft("LayerNorm"), all},
			{unfit.Whole, unfit.NoneLeft("F16"), false},
			{unfit.Loading("buffers"), unfit.NoneLeft("LayerNorm"), all},
			{unfit.Loading("texels"), unfit.NoneLeft("LayerNorm"), false},
		} {
			if got := r.Judged(c.way, c.why); got != c.want {
				t.Errorf("exact %t, half %t, %s, %q: got %t", o.Exact, o.Half, c.way, c.why, got)
			}
		}
		if r.Lost = []string{"LayerNorm"}; r.Judged(unfit.Whole, unfit.NoneLeft("LayerNorm")) {
			t.Error("what is lost is forgotten")
		}
	}
}
