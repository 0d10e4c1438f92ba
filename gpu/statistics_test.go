package gpu_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// A device tells of kernels only if it is asked to, and if its driver cannot, it says so instead of being silent.
func TestStatistics(t *testing.T) {
	in := gputest.Instance(t)
	index, err := gputest.Choose(in.Devices(), os.Getenv("RWKV_DEVICE"))
	if err != nil {
		t.Fatal(err)
	}
	var got []gpu.Statistics
	d, err := in.Device(index, gpu.DeviceOptions{NoPipelineCache: true, Statistics: func(s gpu.Statistics) { got = append(got, s) }})
	if errors.Is(err, gpu.ErrNoStatistics) {
		return // TestGPUs of engine/vulkan/kernel has drivers that can
	} else if err != nil {
		t.Fatal(err)
	}
	spec := []uint32{4, 2, 11, 7}
	k, err := d.NewKernel(gpu.KernelDesc{Name: "echo", SPIRV: code(t, "echo"), PushBytes: 128, Spec: spec,
		Bindings: []gpu.Binding{{Name: "o", Access: gpu.Write}}})
	if err != nil {
		t.Fatal(err)
	}
	k.Release()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range got {
		if s.Kernel != "echo" || !slices.Equal(s.Spec, spec) || s.Took <= 0 {
			t.Errorf("want kernel echo with constants %v, got %+v", spec, s)
		}
	}
	if len(got) == 0 {
		t.Error("want statistics of a kernel, got none")
	}
}
