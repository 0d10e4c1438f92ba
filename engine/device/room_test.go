package device

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/reference"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

func demoModel(tb testing.TB) *model.Model {
	tb.Helper()
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// A model that the device has no memory for is refused before its weights are read, with what it needs, what is free
// and what would fit.
func TestRoom(t *testing.T) {
	d, m := vulkanDevice(t), demoModel(t)
	s := op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 16}
	weights, rest := d.current().kernels.Needs(m.Program, s)
	need := weights + rest
	for _, c := range []struct {
		name  string
		free  int
		known bool
		want  string // "": it fits
	}{
		{"all", need, true, ""}, {"unknown", 0, false, ""},
		{"a byte too few", need - 1, true, "--quant q8_0"},
		{"enough for q8_0", need - m.QuantSaves(tensor.Q8_0), true, "--quant q8_0"},
		{"enough for q5_k", need - m.QuantSaves(tensor.Q5_K), true, "--quant q5_k"},
		{"next to nothing", 1 << 10, true, "no quantized form fits"},
	} {
		d.free = func() (int, bool) { return c.free, c.known }
		read := false
		e, err := d.Prober(m, s, false, func(int64, int64) error {
			read = true
			return nil
		})
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if err := e.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		var of *Error
		if !errors.As(err, &of) || !errors.Is(err, gpu.ErrOutOfMemory) || read {
			t.Errorf("%s: want a device without the memory, and no weight read (%t), got %v", c.name, read, err)
			continue
		}
		text := err.Error()
		for _, part := range []string{c.want, mebibytes(need), mebibytes(weights), mebibytes(c.free) + " are free"} {
			if !strings.Contains(text, part) || strings.Contains(text, "\n") {
				t.Errorf("%s: want %q in one line, got %q", c.name, part, text)
			}
		}
	}
}

// Another device is named if it has the memory, as its driver says or by its size; a processor's is the machine's.
func TestAdvice(t *testing.T) {
	m := demoModel(t)
	others := []gpu.Info{
		{Index: 1, Name: "full", Type: gpu.Discrete, MemoryBytes: 1 << 40, BudgetBytes: 99}, {Index: 2, Name: "large", Type: gpu.Discrete, MemoryBytes: 100},
		{Index: 3, Name: "free", Type: gpu.Integrated, MemoryBytes: 200, BudgetBytes: 100}, {Index: 4, Name: "software", Type: gpu.CPU, MemoryBytes: 1 << 40},
		{Index: 5, Name: "small", Type: gpu.Discrete, MemoryBytes: 99},
	}
	if got, want := adviceOf(m, 100, -1<<40, others), "what fits: --device 2 (large), --device 3 (free)"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

// decodeAll has so many sequences draw two tokens in one submission, before which their states are copied.
func decodeAll(t *testing.T, e op.Executor, vocab, seqs int) {
	t.Helper()
	s, err := sample.New(sample.Params{}, sample.NewVocabulary(vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	draws := make([]vulkan.Draw, seqs)
	for i := range draws {
		draws[i] = vulkan.Draw{Slot: i, Sampler: s}
	}
	if _, err := e.(*vulkan.Prober).Decode(draws, 2); err != nil {
		t.Fatal(err)
	}
}

// What is said to be needed is what is taken, give or take a few tables.
func TestNeeds(t *testing.T) {
	d := vulkanDevice(t)
	for name, m := range map[string]*model.Model{"tiny": golden.Tiny(t), "demo": demoModel(t)} {
		for _, slots := range []int{1, 9} {
			s := d.Fit(m.Program, op.Sizes{Slots: slots, Rows: 256, Seqs: slots, Outs: 16})
			before, _ := d.Memory()
			e, err := d.Prober(m, s, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			decodeAll(t, e, m.Vocab, slots)
			after, _ := d.Memory()
			weights, rest := d.current().kernels.Needs(m.Program, s)
			if took, said := after-before, weights+rest; took < said || took > said+said/20+256<<10 {
				t.Errorf("%s, %d slots: took %d bytes, said %d", name, slots, took, said)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// The CPU's executor takes more, as its weights are float32: where there is no memory for it, a device may have some.
func TestRoomOfCPU(t *testing.T) {
	m := demoModel(t)
	s := op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 16}
	weights, rest := reference.Needs(m.Program, s)
	if weights < 4*m.Parameters() {
		t.Errorf("%d bytes of weights for %d parameters", weights, m.Parameters())
	}
	need := weights + rest
	for free, fits := range map[int]bool{need: true, need - 1: false, 0: false} {
		read := false
		e, err := (&Device{free: func() (int, bool) { return free, true }}).Prober(m, s, false, func(int64, int64) error {
			read = true
			return nil
		})
		if fits {
			if err != nil {
				t.Error(err)
			} else if err := e.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		var of *Error
		if !errors.As(err, &of) || !errors.Is(err, gpu.ErrOutOfMemory) || read {
			t.Errorf("%d free: want a device without the memory, and no weight read (%t), got %v", free, read, err)
			continue
		}
		for _, part := range []string{"device CPU: ", mebibytes(need), mebibytes(weights), mebibytes(free) + " are free"} {
			if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
				t.Errorf("want %q in one line, got %q", part, err)
			}
		}
	}
	_, stored := m.Bytes()
	small := stored + rest - m.QuantSaves(tensor.Q6_K)
	gpu1 := func(free int) gpu.Info {
		return gpu.Info{Index: 1, Name: "G", Type: gpu.Discrete, MemoryBytes: uint64(free)}
	}
	software := gpu.Info{Index: 0, Name: "S", Type: gpu.CPU, MemoryBytes: 1 << 40}
	for _, c := range []struct {
		free    int
		devices []gpu.Info
		want    string
	}{
		{stored + rest, []gpu.Info{software}, "--device 0 (S"},
		{stored + rest - 1, []gpu.Info{software}, "--device 0 --quant q8_0 (S"},
		{0, []gpu.Info{software, gpu1(stored + rest)}, "--device 1 (G"},
		{0, []gpu.Info{software, gpu1(small)}, "--device 1 --quant q6_k (G"},
		{small, []gpu.Info{software, gpu1(0)}, "--device 0 --quant q6_k (S"},
		{-5, []gpu.Info{software, gpu1(9)}, "no device of this machine"},
		{1 << 40, nil, "no device of this machine"},
	} {
		if got := cpuAdvice(m, rest, c.free, c.devices); !strings.Contains(got, c.want) {
			t.Errorf("%d free: want %q, got %q", c.free, c.want, got)
		}
	}
}
