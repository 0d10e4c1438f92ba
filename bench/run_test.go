package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

var tiny = synthetic.Size{Name: "tiny", Layers: 2, Embed: 64, Head: 32, FFN: 256, Vocab: 100, W: 8, A: 8, V: 8, G: 16}

func open(t *testing.T, s synthetic.Size) *model.Model {
	t.Helper()
	f, err := synthetic.New(s, tensor.F16, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func eachDevice(t *testing.T, do func(t *testing.T, d *device.Device)) {
	for _, spec := range []string{"cpu", "gpu"} {
		t.Run(spec, func(t *testing.T) {
			if spec == "gpu" {
				gputest.Instance(t)
				if name := os.Getenv("RWKV_DEVICE"); name != "" {
					spec = name
				}
			}
			d, err := device.Open(spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}()
			do(t, d)
		})
	}
}

// A decoded token of the 0.1B size reads every weight once, but of the embedding one row, and multiplies with every
// matrix element once; the recurrence adds 9 operations for each element of the state.
func TestModelCost(t *testing.T) {
	s, err := synthetic.Named("0.1b")
	if err != nil {
		t.Fatal(err)
	}
	m := modelCostOf(open(t, s).Program)
	weights := float64(2 * (s.Parameters() - s.Vocab*s.Embed + s.Embed))
	if got := m.token().weights; got != weights {
		t.Errorf("weights of a token: want %.0f bytes, got %.0f", weights, got)
	}
	c := s.Embed
	low := 2*c*s.Layers*(s.W+s.A+s.V+s.G) - 2*c*s.V // layer 0 has no value residual
	layers := s.Layers*(4*c*c+2*c*s.FFN) + low
	flops := float64(2*layers + 9*s.Layers*c*s.Head + 2*c*s.Vocab)
	if got := m.token().flops; got != flops {
		t.Errorf("a token: want %.0f operations, got %.0f", flops, got)
	}
	// Twice the rows in a pass without logits: the same weights less the head, but for another row of the embedding.
	w := engine.Work{Passes: 1, Rows: 2}
	want := cost{weights: weights - float64(2*(c*s.Vocab+2*c)-2*c), flops: 2 * (flops - float64(2*c*s.Vocab))}
	if got := m.of(w); got != want {
		t.Errorf("two rows: want %+v, got %+v", want, got)
	}
}

func TestOpCost(t *testing.T) {
	prog := open(t, tiny).Program
	size := batchSize{rows: 6, seqs: 2, outs: 2}
	for _, s := range prog.Steps {
		c := costOf(s.Op, size)
		switch o := s.Op.(type) {
		case *op.ShiftCommit:
			if want := float64(2 * 2 * 4 * o.State.Width); c != (cost{moved: want}) {
				t.Errorf("%s: %+v, want %.0f bytes", s.Name, c, want)
			}
		case *op.WKV7:
			state := float64(2 * 2 * 4 * tiny.Embed * tiny.Head)
			if want := state + 7*6*4*float64(tiny.Embed); c.moved != want || c.flops != float64(9*6*tiny.Embed*tiny.Head) || c.weights != float64(5*2*tiny.Embed) {
				t.Errorf("%s: %+v, want %.0f bytes", s.Name, c, want)
			}
		case *op.Embed:
			if c.weights != float64(2*(6*tiny.Embed+2*tiny.Embed)) || c.moved != float64(4*6*tiny.Embed) {
				t.Errorf("%s: %+v", s.Name, c)
			}
		}
		if costOf(s.Op, batchSize{rows: 6, seqs: 2}) == (cost{}) != (s.Name == "head" || s.Name == "ln_out") {
			t.Errorf("%s: wrong without wanted logits", s.Name)
		}
	}
}

func TestRun(t *testing.T) {
	m := open(t, tiny)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		var said []string
		o := Options{PP: []int{20, 9}, TG: []int{4}, Gen: []int{5}, Batches: []int{3, 1}, Depths: []int{40, 0}, Warmup: 1, Repeat: 3, Chunk: 16, Ops: true,
			Progress: func(what string, done, all int64) {
				if done < 0 || done >= all {
					t.Errorf("%s: %d of %d", what, done, all)
				}
				said = append(said, what)
			}}
		r, err := Run(context.Background(), m, d, o)
		if err != nil {
			t.Fatal(err)
		}
		if d.IsCPU() != strings.HasPrefix(r.Device, "CPU") || d.IsCPU() != (r.Driver == "") || r.Chunk != 16 || len(r.Results) != 2*2*4 {
			t.Errorf("%+v", r)
		}
		for _, depth := range []int{0, 40} {
			for _, batch := range []int{1, 3} {
				for _, name := range []string{"pp20", "pp9", "tg4", "gen5"} {
					i := slices.IndexFunc(r.Results, func(x Result) bool { return x.Test == name && x.Batch == batch && x.Depth == depth })
					if i < 0 {
						t.Fatalf("no %s batch %d depth %d", name, batch, depth)
					}
					checkResult(t, d, r, &r.Results[i])
				}
			}
		}
		// A decode step reads what a step of any batch reads, but for rows of the embedding.
		tg := r.Results[slices.IndexFunc(r.Results, func(x Result) bool { return x.Test == "tg4" && x.Batch == 1 })]
		want := modelCostOf(m.Program).token().weights * tg.Rates.Median / 1e9
		if math.Abs(tg.GBPerS/want-1) > 1e-9 {
			t.Errorf("tg4: want %g GB/s, got %g", want, tg.GBPerS)
		}
		checkOps(t, r)
		for _, s := range []string{"measuring the device's limits", "running to depth 40", "measuring at depth 40", "timing ops of tg1, batch 3"} {
			if !slices.Contains(said, s) {
				t.Errorf("never said %q", s)
			}
		}
		// Depths take turns, so that none has the machine at another time, and so do the limits after the first repetition.
		tests := 2 * 2 * 4
		var turns []string
		for i := range tests * (o.Warmup + o.Repeat) {
			if i > tests*o.Warmup && i%tests == 0 {
				turns = append(turns, "measuring the device's limits")
			}
			turns = append(turns, fmt.Sprintf("measuring at depth %d", 40*(i%2)))
		}
		first := slices.Index(said, "measuring at depth 0")
		if got := said[first:min(first+len(turns), len(said))]; !slices.Equal(got, turns) {
			t.Errorf("want the turns %q, got %q", turns, got)
		}
	})
}

func checkResult(t *testing.T, d *device.Device, r *Report, x *Result) {
	t.Helper()
	decode := x.Test[0] != 'p'
	if n := x.Rates; len(n.Samples) != 3 || !(n.Min > 0) || n.Min > n.Median || n.Median > n.Max || !(x.GBPerS > 0) || !(x.GFLOPS > 0) ||
		x.OfLimit != max(x.GBPerS/r.Roofline.ReadGBPerS, x.GFLOPS/r.Roofline.FMAGFLOPS) {
		t.Errorf("%+v", x)
	}
	if x.DeviceBytes != r.Results[0].DeviceBytes || x.DeviceBytes != r.Memory.DeviceBytes || (x.DeviceBytes > 0) == d.IsCPU() {
		t.Errorf("%s: %d bytes", x.name(), x.DeviceBytes)
	}
	if (x.Allocs != nil) != decode || (x.HostUS != nil) != (decode && !d.IsCPU()) {
		t.Errorf("%s: allocations %v, host %v", x.name(), x.Allocs, x.HostUS)
	}
	gen := x.Test[0] == 'g'
	if gen != (x.DrawnOn == "host" || !d.IsCPU() && x.DrawnOn == "device") || (x.DrawnOn == "host") != (x.DrawUS != nil && *x.DrawUS > 0) {
		t.Errorf("%s: drawn on %q, %v µs", x.name(), x.DrawnOn, x.DrawUS)
	}
	if (x.SubmissionMS != nil && *x.SubmissionMS > 0) == d.IsCPU() {
		t.Errorf("%s: longest submission %v ms", x.name(), x.SubmissionMS)
	}
	if x.HostUS != nil && !(*x.HostUS > 0 && *x.HostUS < 1e6/x.Rates.Min) {
		t.Errorf("%s: host %v µs", x.name(), *x.HostUS)
	}
}

func checkOps(t *testing.T, r *Report) {
	t.Helper()
	share := map[string]float64{}
	for _, x := range r.Ops {
		share[x.Test+string(rune('0'+x.Batch))] += x.Share
		if x.US < 0 || x.Op == "ffn.key" && (x.Count != tiny.Layers || !(x.GFLOPS > 0)) || strings.Contains(x.Op, "blocks") {
			t.Errorf("%+v", x)
		}
	}
	if len(share) != 4 {
		t.Errorf("ops of %v", share)
	}
	for test, s := range share {
		if math.Abs(s-1) > 1e-9 {
			t.Errorf("%s: shares add up to %g", test, s)
		}
	}
	for _, test := range []string{"pp161", "pp53", "tg11", "tg13"} { // as many tokens as a chunk holds for that batch
		if share[test] == 0 {
			t.Errorf("no ops of %s among %v", test, share)
		}
	}
}

// Decoding does not allocate.
func TestNoAllocations(t *testing.T) {
	gputest.Instance(t)
	d, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	r, err := Run(context.Background(), open(t, tiny), d, Options{TG: []int{64}, Batches: []int{2}, Depths: []int{0}, Warmup: 1, Repeat: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range r.Results {
		if *x.Allocs > 0.05 { // the runtime itself may want something now and then
			t.Errorf("%s: %v allocations a token", x.Test, *x.Allocs)
		}
	}
}

func TestRunErrors(t *testing.T) {
	m := open(t, tiny)
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	good := Options{PP: []int{4}, Batches: []int{1}, Depths: []int{0}, Repeat: 1}
	for want, edit := range map[string]func(*Options){
		"at least one length":           func(o *Options) { o.PP = nil },
		"batch: want 1 to 4096, got 0":  func(o *Options) { o.Batches = []int{1, 0} },
		"depth: want 0":                 func(o *Options) { o.Depths = []int{-1} },
		"repeat: want 1 to 100, got 0":  func(o *Options) { o.Repeat = 0 },
		"repeat: want 1 to 100, got 10": func(o *Options) { o.Repeat = 101 },
		"length: want 1":                func(o *Options) { o.TG = []int{0} },
	} {
		o := good
		edit(&o)
		if _, err := Run(context.Background(), m, d, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	// It ends soon after it is asked to, wherever it is.
	for _, stage := range []string{"measuring the device's limits", "running to depth", "measuring at depth", "timing ops"} {
		ctx, cancel := context.WithCancel(context.Background())
		o := good
		o.Depths, o.Ops, o.PP = []int{64}, true, []int{40}
		o.Progress = func(what string, _, _ int64) {
			if strings.HasPrefix(what, stage) {
				cancel()
			}
		}
		if _, err := Run(ctx, m, d, o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", stage, err)
		}
		cancel()
	}
}

// The limits are measured between repetitions at most 4 times, evenly.
func TestLimitsBetween(t *testing.T) {
	for repeat, want := range map[int][]int{1: nil, 2: {1}, 3: {1, 2}, 5: {1, 2, 3, 4}, 9: {2, 4, 6, 8}, 31: {8, 15, 23, 30}} {
		var got []int
		for repeated := -1; repeated <= repeat; repeated++ {
			if measuresBetween(repeated, repeat) {
				got = append(got, repeated)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d repetitions: want limits after %v, got %v", repeat, want, got)
		}
	}
}
