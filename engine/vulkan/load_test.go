package vulkan

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// loadFile names, in a process of its own, the model that TestLoadMemory wants loaded there.
const loadFile = "RWKV_TEST_LOAD_FILE"

// loaded is what loading a model took, in bytes.
type loaded struct {
	Before, Peak int // resident memory before, and the most while loading
	Device       int // of buffers
	InProcess    bool
	Largest      int // tensor, as it is stored
	All          int // tensors
}

// Loading a model takes, besides what the device keeps, its largest tensor and little more, however large the file:
// pages of the file that have been read are given back, and conversions leave no garbage behind that grows.
func TestLoadMemory(t *testing.T) {
	if path := os.Getenv(loadFile); path != "" {
		fmt.Printf("%+v\n", measureLoad(t, path))
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is measured by /proc, which is Linux's")
	}
	if testing.Short() {
		t.Skip("a model of 90 MiB")
	}
	gputest.Instance(t)
	const slack = 48 << 20 // what is read ahead and given back, staging, and garbage
	list := weightstest.RWKV7(weightstest.Size{Vocab: 8192, Embed: 512, Layers: 12, Head: 64, FFN: 2048, W: 64, A: 64, V: 32, G: 128}, tensor.F16, 1)
	for _, c := range []struct {
		name string
		data func() []byte
	}{
		{"m.safetensors", func() []byte { return weightstest.Safetensors(list, nil) }},
		{"m.pth", func() []byte { return weightstest.Torch{}.File(list) }},
		{"legacy.pth", func() []byte { return weightstest.Torch{Legacy: true}.File(list) }},
		{"strided.pth", func() []byte { return weightstest.Torch{Strided: true}.File(list) }},
		{"web-rwkv.st", func() []byte { return weightstest.Safetensors(weightstest.WebRWKV(list), nil) }},
		{"fla.safetensors", func() []byte { return weightstest.Safetensors(weightstest.Fla(list), nil) }},
		{"m.gguf", func() []byte {
			return weightstest.GGUF(weightstest.LlamaMeta(weightstest.Size{Vocab: 8192, Embed: 512, Layers: 12, Head: 64, FFN: 2048}), weightstest.Llama(list))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), c.name)
			if err := os.WriteFile(path, c.data(), 0o600); err != nil {
				t.Fatal(err)
			}
			l := loadElsewhere(t, path)
			extra := l.Peak - l.Before
			if l.InProcess {
				extra -= l.Device
			}
			t.Logf("%.1f MiB of tensors: %.1f MiB resident besides the device's, the largest tensor has %.1f MiB",
				mib(l.All), mib(extra), mib(l.Largest))
			if limit := l.Largest + slack; extra > limit {
				t.Errorf("loading took %.1f MiB of resident memory, want at most %.1f MiB", mib(extra), mib(limit))
			}
			if 2*l.All < 3*(l.Largest+slack) {
				t.Errorf("%.1f MiB of tensors are too few to tell", mib(l.All))
			}
		})
	}
}

func mib(n int) float64 { return float64(n) / (1 << 20) }

// loadElsewhere runs measureLoad in another process, whose memory nothing else has used.
func loadElsewhere(t *testing.T, path string) (l loaded) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoadMemory$")
	cmd.Env = append(os.Environ(), loadFile+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := fmt.Sscanf(string(out), "{Before:%d Peak:%d Device:%d InProcess:%t Largest:%d All:%d}",
		&l.Before, &l.Peak, &l.Device, &l.InProcess, &l.Largest, &l.All); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return l
}

// measureLoad loads a model to the device. A small one goes before it, so that drivers and compilers have taken theirs.
func measureLoad(t *testing.T, path string) (l loaded) {
	in, err := gpu.Open(gpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	index, err := gputest.Choose(in.Devices(), os.Getenv("RWKV_DEVICE"))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := in.Device(index, gpu.DeviceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k := NewKernels(dev)
	load := func(m *model.Model) *Prober {
		e, err := newProber(k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 8, Seqs: 1, Outs: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	if err := load(golden.Tiny(t)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // forget the peak so far
		t.Fatal(err)
	}
	l.Before, _ = resident(t)
	before, _ := dev.MemoryInUse()
	m, err := model.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	e := load(m)
	after, _ := dev.MemoryInUse()
	_, l.Peak = resident(t)
	l.Device, l.InProcess = after-before, dev.Info().Type == gpu.CPU
	for _, x := range m.File.Tensors {
		n := x.Type.Bytes(x.Len())
		l.All += n
		l.Largest = max(l.Largest, n)
	}
	for _, err := range []error{e.Close(), m.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	return l
}

// resident returns the process's resident memory, and the most it had.
func resident(t *testing.T) (now, peak int) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			now = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	if now == 0 || peak == 0 {
		t.Fatalf("no resident memory in %s", status)
	}
	return now, peak
}
