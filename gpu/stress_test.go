package gpu_test

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// Nothing the driver reads may be memory that the garbage collector frees: pipelines, sets,
// recordings and runs beside a loop of collections. Written for a fault of the Vulkan binding
// that this package must not inherit.
func TestGarbageCollector(t *testing.T) {
	d := gputest.Device(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	out := buffer(t, d, "out", 160, gpu.Readback)
	for i := range 200 {
		form := i % 8 // each is a compilation
		k, err := d.NewKernel(gpu.KernelDesc{Name: "echo", SPIRV: code(t, "echo"), Bindings: []gpu.Binding{{Name: "o", Access: gpu.Write}},
			PushBytes: 128, Spec: []uint32{uint32(1 + form), 1, uint32(1 + form), uint32(form)}})
		if err != nil {
			t.Fatal(err)
		}
		push := make([]uint32, 32)
		push[31] = uint32(i)
		rec := d.NewRecording()
		rec.Dispatch(k, []gpu.Range{out.All()}, words(push...), 1, 1, 1)
		c, err := rec.End()
		if err != nil {
			t.Fatal(err)
		}
		k.Release()
		run(t, c)
		c.Release()
		if b := out.Bytes(); word(b, 31) != uint32(i) || word(b, 32) != uint32(1+form) || word(b, 33) != uint32(form) {
			t.Fatalf("round %d: got % x", i, b)
		}
	}
}

// Goroutines that share a device and touch only their own buffers and recordings.
func TestConcurrentUse(t *testing.T) {
	d := gputest.Device(t)
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	const n = 40
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 8 {
				want := make([]uint32, n)
				want[i] = uint32(g + 1)
				if err := oneChain(d, k, want); err != nil {
					t.Errorf("goroutine %d: %v", g, err)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// oneChain runs three steps of next.comp from data and compares.
func oneChain(d *gpu.Device, k *gpu.Kernel, data []uint32) error {
	n := len(data)
	a, err := d.NewBuffer("a", 4*n, gpu.DeviceLocal)
	if err != nil {
		return err
	}
	defer a.Release()
	b, err := d.NewBuffer("b", 4*n, gpu.DeviceLocal)
	if err != nil {
		return err
	}
	defer b.Release()
	if err := d.Upload(a.All(), words(data...)); err != nil {
		return err
	}
	rec := d.NewRecording()
	for i, r := range [][]gpu.Range{{a.All(), b.All()}, {b.All(), a.All()}, {a.All(), b.All()}} {
		rec.Dispatch(k, r, words(uint32(n), uint32(i)), uint32(n+31)/32, 1, 1)
		data = nextStep(data, uint32(i))
	}
	c, err := rec.End()
	if err != nil {
		return err
	}
	defer c.Release()
	if err := c.Run(); err != nil {
		return err
	}
	got := make([]byte, 4*n)
	if err := d.Download(got, b.All()); err != nil {
		return err
	}
	if !bytes.Equal(got, words(data...)) {
		return errors.New("wrong result")
	}
	return nil
}
