package gpu_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// Every buffer keeps its own bytes while others come and go.
func TestBuffersDoNotOverlap(t *testing.T) {
	d := gputest.Device(t)
	rng := rand.New(rand.NewSource(4))
	type held struct {
		b    *gpu.Buffer
		want byte
	}
	var live []held
	check := func(h held) {
		for i, g := range h.b.Bytes() {
			if g != h.want {
				t.Fatalf("byte %d of %s is %d, want %d", i, h.b.Name(), g, h.want)
			}
		}
	}
	for i := range 400 {
		if len(live) > 0 && rng.Intn(5) < 2 {
			j := rng.Intn(len(live))
			check(live[j])
			live[j].b.Release()
			live = append(live[:j], live[j+1:]...)
			continue
		}
		size := 1 + rng.Intn(2000)
		if i%100 == 50 {
			size = 9 << 20 // more than half of the first block: has its own
		}
		b, err := d.NewBuffer(fmt.Sprintf("b%d", i), size, gpu.Upload+gpu.Memory(rng.Intn(2)))
		if err != nil {
			t.Fatal(err)
		}
		h := held{b, byte(i)}
		for k := range b.Bytes() {
			b.Bytes()[k] = h.want
		}
		live = append(live, h)
	}
	for _, h := range live {
		check(h)
		h.b.Release()
		h.b.Release() // a second time does nothing
	}
	if buffers, blocks := d.MemoryInUse(); buffers != 0 || blocks > 2*(16<<20) {
		t.Errorf("%d bytes in buffers and %d in blocks after all is released", buffers, blocks)
	}
}

func TestRoundTrips(t *testing.T) {
	for _, staged := range []bool{false, true} {
		for _, mem := range []gpu.Memory{gpu.DeviceLocal, gpu.Upload, gpu.Readback} {
			t.Run(fmt.Sprintf("%s,staged=%v", mem, staged), func(t *testing.T) {
				d := gputest.Device(t, gpu.DeviceOptions{NoDirectAccess: staged})
				const off, size = 3, 17<<20 + 1 // several pieces, the last one odd
				b := buffer(t, d, "b", off+size+5, mem)
				data := make([]byte, size)
				rand.New(rand.NewSource(5)).Read(data)
				at := 0
				err := d.UploadFunc(b.Range(off, size), func(piece []byte, from int) {
					if from != at {
						t.Fatalf("piece at %d, want %d", from, at)
					}
					at += copy(piece, data[from:])
				})
				if err != nil {
					t.Fatal(err)
				}
				if got := download(t, d, b.Range(off, size)); !bytes.Equal(got, data) {
					t.Error("data came back changed")
				}
				if got := download(t, d, b.Range(off+100, 77)); !bytes.Equal(got, data[100:177]) {
					t.Error("a part came back changed")
				}
				if (b.Bytes() == nil) != (mem == gpu.DeviceLocal) {
					t.Errorf("Bytes is nil: %v", b.Bytes() == nil)
				}
			})
		}
	}
}

func TestTransferErrors(t *testing.T) {
	d := gputest.Device(t)
	b := buffer(t, d, "b", 64, gpu.DeviceLocal)
	wantError(t, "short", d.Upload(b.All(), make([]byte, 63)), "63 bytes", "64")
	wantError(t, "outside", d.Upload(gpu.Range{Buffer: b, Offset: 60, Size: 8}, make([]byte, 8)), `not within buffer "b"`)
	wantError(t, "short", d.Download(make([]byte, 1), b.All()), "64", "1")
	wantError(t, "no buffer", d.Download(nil, gpu.Range{}), "no buffer")
}

func TestOutOfMemory(t *testing.T) {
	d := gputest.Device(t)
	held := buffer(t, d, "held", 1<<20, gpu.DeviceLocal)
	_, err := d.NewBuffer("absurd", 1<<50, gpu.DeviceLocal)
	wantError(t, "over the limit", err, `buffer "absurd"`, "1048576.0 GiB wanted", "the device allows", "in use 1.0 MiB", "GiB")
	if !errors.Is(err, gpu.ErrOutOfMemory) {
		t.Errorf("%v does not match ErrOutOfMemory", err)
	}
	for _, size := range []int{0, -1} {
		_, err = d.NewBuffer("none", size, gpu.DeviceLocal)
		wantError(t, "size", err, "want at least 1 byte")
	}
	held.Release()
	if d.Info().Features.MemoryBudget {
		if used, budget, ok := d.MemoryBudget(); !ok || budget == 0 || used > budget {
			t.Errorf("budget %d of %d, %v", used, budget, ok)
		}
	}
}

// The driver's own refusal, not the limit's, for a heap that is full.
func TestHeapFull(t *testing.T) {
	d := gputest.Device(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) { l.MaxAllocationCount = 2 }})
	var err error
	for i := 0; i < 3 && err == nil; i++ {
		var b *gpu.Buffer
		if b, err = d.NewBuffer(fmt.Sprintf("b%d", i), 12<<20, gpu.DeviceLocal); err == nil {
			t.Cleanup(b.Release)
		}
	}
	wantError(t, "third block", err, `buffer "b2"`, "12.0 MiB of device-local memory wanted", "in use 24.0 MiB", "too many objects")
	if !errors.Is(err, gpu.ErrOutOfMemory) {
		t.Errorf("%v does not match ErrOutOfMemory", err)
	}
}

func TestLeaks(t *testing.T) {
	in := gputest.Instance(t)
	before := len(gputest.Messages())
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.NewBuffer("forgotten", 1<<20, gpu.DeviceLocal)
	if err != nil {
		t.Fatal(err)
	}
	k, err := d.NewKernel(gpu.KernelDesc{Name: "saxpy", SPIRV: code(t, "saxpy"), Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{8}})
	if err != nil {
		t.Fatal(err)
	}
	rec := d.NewRecording()
	rec.SetName("steps")
	rec.Dispatch(k, []gpu.Range{b.Range(0, 64), b.Range(256, 64)}, make([]byte, 8), 1, 1, 1)
	if _, err := rec.End(); err != nil {
		t.Fatal(err)
	}
	err = d.Close()
	wantError(t, "close", err, `buffer "forgotten" (1.0 MiB)`, `kernel "saxpy"`, `commands of steps`)
	if err := d.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	_, err = d.NewBuffer("late", 1, gpu.DeviceLocal)
	wantError(t, "buffer after close", err, "device is closed")
	for _, m := range gputest.Messages()[before:] {
		t.Errorf("validation %s", m)
	}
}
