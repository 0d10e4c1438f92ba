package device

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
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
		e, err := d.Prober(m, s, Accuracy{}, func(int64, int64) error {
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
			e, err := d.Prober(m, s, Accuracy{}, nil)
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

// Memory to spare on the CPU is what is free beside the model's needs and the whole of its file.
func TestSpare(t *testing.T) {
	m := demoModel(t)
	stored, _ := m.Bytes()
	for _, c := range []struct {
		r    room
		want int
	}{
		{room{weights: 10, rest: 20, free: stored + 37, known: true}, 7},
		{room{weights: 10, rest: 20, free: stored + 29, known: true}, 0},
		{room{weights: 10, rest: 20, free: stored + 37}, 0},
	} {
		if got := c.r.spare(m); got != c.want || stored == 0 {
			t.Errorf("%+v, file of %d bytes: %d bytes to spare, want %d", c.r, stored, got, c.want)
		}
	}
}

// On the CPU weights that are made while they load take memory, and those that are read in their file take none.
func TestRoomOfCPU(t *testing.T) {
	m := demoModel(t)
	s := op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 16}
	weights, rest := cpu.Needs(m.Program, s, 0)
	if _, loaded := m.Bytes(); weights < loaded {
		t.Errorf("%d bytes of weights for %d, which lie in no file", weights, loaded)
	}
	need := weights + rest
	for free, fits := range map[int]bool{need: true, need - 1: false, 0: false} {
		read := false
		e, err := (&Device{free: func() (int, bool) { return free, true }}).Prober(m, s, Accuracy{}, func(int64, int64) error {
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
	_, loaded := m.Bytes()
	gpu1 := func(free int) gpu.Info {
		return gpu.Info{Index: 1, Name: "G", Type: gpu.Discrete, MemoryBytes: uint64(free)}
	}
	software := gpu.Info{Index: 0, Name: "S", Type: gpu.CPU, MemoryBytes: 1 << 40}
	const inPlace = "a file that 'rwkv-gpu quantize' or 'convert' wrote"
	for _, c := range []struct {
		free    int
		devices []gpu.Info
		want    string
	}{
		{rest, []gpu.Info{software}, "what fits: " + inPlace},
		{rest, []gpu.Info{gpu1(loaded + rest)}, "), --device 1 (G)"},
		{rest - 1, []gpu.Info{software, gpu1(loaded + rest)}, "what fits: --device 1 (G)"},
		{rest - 1, []gpu.Info{software, gpu1(loaded + rest - 1)}, "no device of this machine"},
		{-5, nil, "no device of this machine"},
	} {
		if got := cpuAdvice(m, room{rest: rest, free: c.free}, c.devices); !strings.Contains(got, c.want) {
			t.Errorf("%d free: want %q, got %q", c.free, c.want, got)
		}
	}
}
