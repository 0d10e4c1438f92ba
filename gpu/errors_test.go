package gpu_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// wantError checks that err is one line that holds every one of parts.
func wantError(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", what, parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s: error %q does not say %q", what, err, p)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: error is not one line: %q", what, err)
	}
}

func TestNoLoader(t *testing.T) {
	t.Setenv("RWKV_VULKAN_LOADER", "/nonexistent")
	_, err := gpu.Open(gpu.Options{})
	wantError(t, "open", err, "no Vulkan loader", "/nonexistent", "RWKV_VULKAN_LOADER")
	if !errors.Is(err, gpu.ErrNoLoader) {
		t.Errorf("%v does not match ErrNoLoader", err)
	}
}

func TestUnknownIndex(t *testing.T) {
	in := gputest.Instance(t)
	for _, i := range []int{-1, 1000} {
		_, err := in.Device(i, gpu.DeviceOptions{})
		wantError(t, "device", err, "no Vulkan device with index")
		if !errors.Is(err, gpu.ErrNoDevice) {
			t.Errorf("%v does not match ErrNoDevice", err)
		}
	}
}

func TestResultErrors(t *testing.T) {
	for result, target := range map[int32]error{-1: gpu.ErrOutOfMemory, -2: gpu.ErrOutOfMemory, -4: gpu.ErrDeviceLost, 2: gpu.ErrTimeout} {
		err := error(&gpu.Error{Call: "vkX", Result: result})
		for _, e := range []error{gpu.ErrOutOfMemory, gpu.ErrDeviceLost, gpu.ErrTimeout, gpu.ErrNoDevice} {
			if errors.Is(err, e) != (e.Error() == target.Error()) {
				t.Errorf("%v matches %v: %v", err, e, errors.Is(err, e))
			}
		}
	}
	for _, c := range []struct {
		call   string
		result int32
		want   bool
	}{{"vkCreateComputePipelines", -13, true}, {"vkCreateComputePipelines", -1000012000, true}, {"vkQueueSubmit", -13, false}, {"vkX", -11, true}, {"vkX", -4, false}} {
		if err := (&gpu.Error{Call: c.call, Result: c.result}); errors.Is(err, gpu.ErrUnsupported) != c.want {
			t.Errorf("%v matches ErrUnsupported: %v", err, !c.want)
		}
	}
	wantError(t, "lost", &gpu.Error{Call: "vkQueueSubmit", Result: -4}, "vkQueueSubmit: device lost")
	wantError(t, "unknown", &gpu.Error{Call: "vkX", Result: -77}, "VkResult -77")
}

func TestDispatchErrors(t *testing.T) {
	d := gputest.Device(t, gpu.DeviceOptions{LimitOverride: func(l *gpu.Limits) {
		l.MaxStorageBufferRange, l.MaxTexelBufferElements = 4096, 64
		l.MaxWorkgroupCount = [3]int{8, 9, 10}
	}})
	other := gputest.Device(t)
	k := kernel(t, d, gpu.KernelDesc{Name: "saxpy", Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{32}})
	tex := kernel(t, d, gpu.KernelDesc{Name: "texel", PushBytes: 4, Bindings: []gpu.Binding{
		{Name: "tex", Kind: gpu.UniformTexel, Access: gpu.Read, Format: gpu.RGBA32F}, {Name: "o", Access: gpu.Write}}})
	b, gone, foreign := buffer(t, d, "b", 8192, gpu.DeviceLocal), buffer(t, d, "gone", 64, gpu.DeviceLocal), buffer(t, other, "foreign", 64, gpu.DeviceLocal)
	gone.Release()
	ok, p8, p4 := b.Range(0, 64), make([]byte, 8), make([]byte, 4)
	type args = []gpu.Range
	limits := []string{"alignment", "range", "zero groups", "many groups", "texels"} // the rest are mistakes
	for _, c := range []struct {
		name   string
		record func(r *gpu.Recording)
		want   []string
	}{
		{"alignment", func(r *gpu.Recording) { r.Dispatch(k, args{ok, b.Range(4, 64)}, p8, 1, 1, 1) }, []string{`kernel "saxpy"`, `binding 1 "y"`, "offset 4", "multiple of"}},
		{"range", func(r *gpu.Recording) { r.Dispatch(k, args{b.All(), ok}, p8, 1, 1, 1) }, []string{`binding 0 "x"`, "8192 bytes", "at most 4096"}},
		{"outside", func(r *gpu.Recording) { r.Dispatch(k, args{b.Range(8000, 256), ok}, p8, 1, 1, 1) }, []string{`not within buffer "b" of 8192`}},
		{"overflow", func(r *gpu.Recording) { r.Dispatch(k, args{b.Range(1<<62, 1<<62), ok}, p8, 1, 1, 1) }, []string{`not within buffer "b"`}},
		{"empty", func(r *gpu.Recording) { r.Dispatch(k, args{b.Range(0, 0), ok}, p8, 1, 1, 1) }, []string{`not within buffer "b"`}},
		{"no buffer", func(r *gpu.Recording) { r.Dispatch(k, args{{}, ok}, p8, 1, 1, 1) }, []string{"no buffer"}},
		{"released", func(r *gpu.Recording) { r.Dispatch(k, args{gone.All(), ok}, p8, 1, 1, 1) }, []string{`buffer "gone" is released`}},
		{"foreign", func(r *gpu.Recording) { r.Dispatch(k, args{foreign.All(), ok}, p8, 1, 1, 1) }, []string{"another device"}},
		{"zero groups", func(r *gpu.Recording) { r.Dispatch(k, args{ok, ok}, p8, 1, 0, 1) }, []string{"0 groups on axis y", "1 to 9"}},
		{"many groups", func(r *gpu.Recording) { r.Dispatch(k, args{ok, ok}, p8, 1, 1, 11) }, []string{"11 groups on axis z", "1 to 10"}},
		{"arguments", func(r *gpu.Recording) { r.Dispatch(k, args{ok}, p8, 1, 1, 1) }, []string{"1 arguments, it has 2"}},
		{"push", func(r *gpu.Recording) { r.Dispatch(k, args{ok, ok}, p4, 1, 1, 1) }, []string{"4 bytes of push", "takes 8"}},
		{"no kernel", func(r *gpu.Recording) { r.Dispatch(nil, nil, nil, 1, 1, 1) }, []string{"without a kernel"}},
		{"texels", func(r *gpu.Recording) { r.Dispatch(tex, args{b.Range(0, 16*65), ok}, p4, 1, 1, 1) }, []string{`binding 0 "tex"`, "65 texels", "at most 64"}},
		{"part of a texel", func(r *gpu.Recording) { r.Dispatch(tex, args{b.Range(0, 20), ok}, p4, 1, 1, 1) }, []string{"no whole number of rgba32f"}},
		{"shared", func(r *gpu.Recording) { r.Dispatch(k, args{b.Range(0, 260), b.Range(256, 64)}, p8, 1, 1, 1) }, []string{`bindings 0 "x" and 1 "y" share memory`}},
		{"copy sizes", func(r *gpu.Recording) { r.Copy(b.Range(0, 8), b.Range(16, 4)) }, []string{"copy", "sizes differ"}},
		{"copy overlap", func(r *gpu.Recording) { r.Copy(b.Range(0, 8), b.Range(4, 8)) }, []string{"overlap"}},
		{"copy outside", func(r *gpu.Recording) { r.Copy(b.Range(8190, 8), b.Range(4, 8)) }, []string{"copy: destination", "not within"}},
		{"fill", func(r *gpu.Recording) { r.Fill(b.Range(2, 8), 1) }, []string{"fill", "multiples of 4"}},
		{"timestamp", func(r *gpu.Recording) { r.Timestamp(gpu.MaxTimestamps) }, []string{"timestamp slot 1024"}},
		{"several", func(r *gpu.Recording) {
			for i := range 7 {
				r.Fill(b.Range(4*i+1, 4), 1)
			}
		}, []string{"[1, +4)", "[13, +4)", "and 3 more"}},
	} {
		rec := d.NewRecording()
		rec.SetName("rec-" + c.name)
		rec.Fill(ok, 0) // what is right before the mistake does not hide it
		c.record(rec)
		rec.Fill(ok, 0)
		cmds, err := rec.End()
		wantError(t, c.name, err, append(c.want, "rec-"+c.name)...)
		if cmds != nil {
			t.Errorf("%s: commands in spite of the error", c.name)
		}
		if limit := slices.Contains(limits, c.name); errors.Is(err, gpu.ErrUnsupported) != limit || gpu.IsFault(err) != limit {
			t.Errorf("%s: %v: a limit of the device: %v", c.name, err, !limit)
		}
	}
}

func TestKernelErrors(t *testing.T) {
	d := gputest.Device(t, gpu.DeviceOptions{
		LimitOverride: func(l *gpu.Limits) {
			l.PushConstants, l.MaxWorkgroupInvocations, l.MaxWorkgroupSize, l.SharedMemory = 64, 128, [3]int{128, 16, 8}, 1024
			l.MaxStorageBuffers = 2
		},
		FeatureOverride: func(f *gpu.Features) {
			f.Float16, f.Storage16, f.SubgroupControl, f.FullSubgroups = false, false, false, false
		},
	})
	out := []gpu.Binding{{Name: "o", Access: gpu.Write}}
	two := []gpu.Binding{out[0], {Name: "p", Access: gpu.Read}}
	for _, c := range []struct {
		name string
		desc gpu.KernelDesc
		want string
	}{
		{"push", gpu.KernelDesc{Name: "echo", Bindings: out, PushBytes: 128, Spec: []uint32{1, 1}}, "128 bytes of push constants, want a multiple of 4 up to the device's 64"},
		{"invocations", gpu.KernelDesc{Name: "echo", Bindings: out, PushBytes: 64, Spec: []uint32{64, 4}}, "= 256 invocations, the device allows 128"},
		{"width", gpu.KernelDesc{Name: "echo", Bindings: out, PushBytes: 64, Spec: []uint32{1, 17}}, "[1 17 1]"},
		{"zero size", gpu.KernelDesc{Name: "echo", Bindings: out, PushBytes: 64, Spec: []uint32{0, 1}}, "[0 1 1]"},
		{"shared memory", gpu.KernelDesc{Name: "echo", Bindings: out, PushBytes: 64, Spec: []uint32{1, 1, 300}}, "1200 bytes of shared memory, the device has 1024"},
		{"missing binding", gpu.KernelDesc{Name: "saxpy", Bindings: out, PushBytes: 8}, "the shader has a binding 1, only 1 are declared"},
		{"kind", gpu.KernelDesc{Name: "texel", Bindings: two, PushBytes: 4}, `binding 0 "o" is declared a storage buffer, the shader has a uniform texel buffer`},
		{"no format", gpu.KernelDesc{Name: "texel", Bindings: []gpu.Binding{{Name: "t", Kind: gpu.UniformTexel, Access: gpu.Read}}, PushBytes: 4}, "format none"},
		{"texel write", gpu.KernelDesc{Name: "texel", Bindings: []gpu.Binding{{Name: "t", Kind: gpu.UniformTexel, Access: gpu.ReadWrite, Format: gpu.R32F}}, PushBytes: 4}, "can only be read"},
		{"no access", gpu.KernelDesc{Name: "saxpy", Bindings: []gpu.Binding{{Name: "x"}}, PushBytes: 8}, `binding 0 "x": kind, access or format is not set`},
		{"too many", gpu.KernelDesc{Name: "saxpy", Bindings: append(two, out...), PushBytes: 8}, "3 bindings are a storage buffer, the device allows 2"},
		{"33 bindings", gpu.KernelDesc{Name: "saxpy", Bindings: make([]gpu.Binding, 33), PushBytes: 8}, "33 bindings"},
		{"65 constants", gpu.KernelDesc{Name: "saxpy", Bindings: two, PushBytes: 8, Spec: make([]uint32, 65)}, "65 specialization constants"},
		{"capability", gpu.KernelDesc{Name: "half", Bindings: out}, "the device lacks it"},
		{"subgroup size", gpu.KernelDesc{Name: "saxpy", Bindings: two, PushBytes: 8, SubgroupSize: 8}, "subgroup size 8 is required"},
		{"full subgroups", gpu.KernelDesc{Name: "saxpy", Bindings: two, PushBytes: 8, FullSubgroups: true}, "full subgroups are required"},
		{"no code", gpu.KernelDesc{Name: "none", SPIRV: []byte{1, 2, 3}}, "spirv: length: want whole words"},
	} {
		if c.desc.SPIRV == nil {
			c.desc.SPIRV = code(t, c.desc.Name)
		}
		_, err := d.NewKernel(c.desc)
		wantError(t, c.name, err, `vulkan: kernel "`+c.desc.Name+`"`, c.want)
		if wrong := c.name == "no code"; errors.Is(err, gpu.ErrUnsupported) == wrong {
			t.Errorf("%s: %v: matches ErrUnsupported: %v", c.name, err, !wrong)
		}
	}
}

func TestUseAfterRelease(t *testing.T) {
	d := gputest.Device(t)
	b := buffer(t, d, "b", 64, gpu.DeviceLocal)
	rec := d.NewRecording()
	rec.Fill(b.All(), 3)
	c := end(t, rec)
	b.Release() // the commands keep it
	run(t, c)
	wantError(t, "upload", d.Upload(b.All(), make([]byte, 64)), "released")
	c.Release()
	wantError(t, "submit", c.Submit(), "after Release")
	if buffers, _ := d.MemoryInUse(); buffers != 0 {
		t.Errorf("%d bytes in use after everything is released", buffers)
	}
}

// What outlives its device does no harm.
func TestUseAfterClose(t *testing.T) {
	in := gputest.Instance(t)
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.NewBuffer("b", 64, gpu.Upload)
	if err != nil {
		t.Fatal(err)
	}
	k, err := d.NewKernel(gpu.KernelDesc{Name: "saxpy", SPIRV: code(t, "saxpy"), Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{8}})
	if err != nil {
		t.Fatal(err)
	}
	rec := d.NewRecording()
	rec.Fill(b.All(), 1)
	c, err := rec.End()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Submit(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "close", d.Close(), "unreleased")
	wantError(t, "submit", c.Submit(), "Device.Close")
	if err := c.Wait(); err != nil {
		t.Errorf("wait: %v", err)
	}
	if b.Bytes() != nil {
		t.Error("the buffer still has memory")
	}
	wantError(t, "upload", d.Upload(b.All(), make([]byte, 64)), "device is closed")
	_, err = d.NewKernel(gpu.KernelDesc{Name: "saxpy", SPIRV: code(t, "saxpy"), Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{8}})
	wantError(t, "kernel", err, "device is closed")
	if !errors.Is(err, gpu.ErrClosed) {
		t.Errorf("%v does not match ErrClosed", err)
	}
	_, err = d.NewRecording().End()
	wantError(t, "recording", err, "device is closed")
	if !errors.Is(err, gpu.ErrClosed) {
		t.Errorf("%v does not match ErrClosed", err)
	}
	c.Release()
	b.Release()
	k.Release()
}
