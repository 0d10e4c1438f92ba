package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// vulkanDevice returns the Vulkan device of the tests, which fail on any validation message and any leak.
func vulkanDevice(tb testing.TB) *Device {
	d := gputest.Shared(tb)
	if shared == nil {
		shared = vulkan.NewKernels(d)
	}
	return On(d, shared)
}

// What exact results depend on has the driver and the kernels in it, and the build of the program.
func TestArithmetic(t *testing.T) {
	d := vulkanDevice(t)
	got, host := d.Arithmetic(), new(Device).Arithmetic()
	for _, part := range []string{d.current().device.Info().Name, d.Driver(), shaders.Sum(""), build()} {
		if part == "" || !strings.Contains(got, part) {
			t.Errorf("want %q in %q", part, got)
		}
	}
	if !strings.HasPrefix(host, cpu.Arithmetic()+" "+runtime.GOARCH) || !strings.HasSuffix(host, build()) || len(build()) != 64 {
		t.Errorf("%q", host)
	}
}

// Devices are found by index and by a part of their name in any case; what finds none names them all.
func TestChoose(t *testing.T) {
	infos := []gpu.Info{{Index: 0, Name: "Software", Type: gpu.CPU}, {Index: 1, Name: "Big GPU 3"}, {Index: 2, Name: "Big GPU 4"}}
	best := gpu.Pick(infos)
	for spec, want := range map[string]int{"auto": best, "": best, "gpu": best, "0": 0, "2": 2, "soft": 0, "BIG": 1, "gpu 4": 2} {
		if got, err := Choose(infos, spec); err != nil || got != want {
			t.Errorf("%q: device %d (%v), want %d", spec, got, err, want)
		}
	}
	for _, spec := range []string{"3", "-1", "nvidia", "1 "} {
		_, err := Choose(infos, spec)
		var d *Error
		if !errors.As(err, &d) || !strings.Contains(err.Error(), spec) || !strings.Contains(err.Error(), `1 "Big GPU 3"`) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", spec, err)
		}
	}
}

// With a window a device keeps its index, whether or not it shows pictures. One that shows them is taken where there is a
// choice.
func TestChooseForWindow(t *testing.T) {
	infos := []gpu.Info{{Index: 0, Name: "Big GPU 3", Type: gpu.Discrete, NoPictures: "why"}, {Index: 1, Name: "GPU 4", Type: gpu.Integrated},
		{Index: 2, Name: "Software", Type: gpu.CPU, NoPictures: "why"}}
	for spec, want := range map[string]int{"auto": 1, "gpu": 1, "0": 0, "1": 1, "2": 2, "soft": 2, "GPU": 1, "gpu 3": 0} {
		if got, err := Choose(infos, spec); err != nil || got != want {
			t.Errorf("%q: device %d (%v), want %d", spec, got, err, want)
		}
	}
	if got, err := Choose(infos[2:], "auto"); err != nil || got != 2 {
		t.Errorf("the only one: device %d (%v)", got, err)
	}
}

func TestOpen(t *testing.T) {
	none := func(s string) { t.Errorf("notice %q", s) }
	d, err := Open("cpu", none)
	if err != nil || !d.IsCPU() || d.Close() != nil {
		t.Fatalf("cpu: %v", err)
	}
	gputest.Instance(t) // the rest needs a Vulkan device
	infos, err := List()
	if err != nil || len(infos) == 0 {
		t.Fatalf("devices: %v", err)
	}
	for _, spec := range []string{"auto", ""} { // a GPU, or else the CPU itself
		var told []string
		d, err := Open(spec, func(s string) { told = append(told, s) })
		if err != nil {
			t.Fatalf("%q: %v", spec, err)
		}
		best := infos[slices.IndexFunc(infos, func(in gpu.Info) bool { return in.Index == gpu.Pick(infos) })]
		if software := best.Type == gpu.CPU; d.IsCPU() != software || (len(told) == 1) != software ||
			software && !(strings.Contains(told[0], best.Name) && strings.Contains(told[0], "--device gpu")) {
			t.Errorf("%q with %s: the CPU: %t, told %q", spec, best.Name, d.IsCPU(), told)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%q: %v", spec, err)
		}
	}
	for _, spec := range []string{"gpu", fmt.Sprint(infos[0].Index), infos[0].Name} {
		d, err := Open(spec, none)
		if err != nil || d.IsCPU() {
			t.Fatalf("%q: %v", spec, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%q: %v", spec, err)
		}
	}
	var e *Error
	if _, err := Open("no such device", none); !errors.As(err, &e) || !strings.Contains(err.Error(), infos[0].Name) {
		t.Errorf("a device that is not there: %v", err)
	}
}

// Where there is no Vulkan, "auto" is the CPU, whether anybody wants to be told or not.
func TestOpenWithoutVulkan(t *testing.T) {
	t.Setenv("RWKV_VULKAN_LOADER", "/nonexistent")
	var told []string
	for _, notice := range []func(string){nil, func(s string) { told = append(told, s) }} {
		if d, err := Open("auto", notice); err != nil || !d.IsCPU() {
			t.Errorf("%v", err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "running on the CPU") {
		t.Errorf("told %q", told)
	}
}

// Errors of a device's executor are the device's; errors of the model and of the caller are not.
func TestFault(t *testing.T) {
	d := vulkanDevice(t)
	var e *Error
	for _, err := range []error{&gpu.Error{Call: "vkQueueSubmit", Result: -4}, fmt.Errorf("x: %w", gpu.ErrOutOfMemory),
		fmt.Errorf("x: %w", errors.Join(errors.New("y"), &gpu.HangError{What: "z"})), gpu.Unsupportedf("x"), &gpu.Error{Call: "vkX", Result: -1}} {
		if got := d.Fault(err); !errors.As(got, &e) || !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	for _, err := range []error{&op.NotFiniteError{Tensor: "x"}, &weights.Error{File: "f"}, context.Canceled, errors.New("the caller's"), op.ErrClosed} {
		if got := d.Fault(fmt.Errorf("x: %w", err)); errors.As(got, &e) {
			t.Errorf("%v became the device's", err)
		}
	}
}

// The rooflines are those of a device: more than nothing, and nothing is left behind.
func TestRoofline(t *testing.T) {
	measure := func(t *testing.T, d *Device) {
		before, _ := d.Memory()
		l, err := d.Roofline(1 << 20)
		if err != nil || l.Read < 1e8 || l.Flops < 1e8 || l.Read > 1e14 || l.Flops > 1e16 {
			t.Errorf("%+v, %v", l, err)
		}
		if after, _ := d.Memory(); after != before {
			t.Errorf("%d bytes in use before, %d after", before, after)
		}
	}
	t.Run("cpu", func(t *testing.T) { measure(t, &Device{}) })
	t.Run("vulkan", func(t *testing.T) { measure(t, vulkanDevice(t)) })
	t.Run("as executors run", func(t *testing.T) {
		t.Setenv("RWKV_CPU", "none")
		var e *Error
		if l, err := new(Device).Roofline(1 << 20); !errors.As(err, &e) || e.Device != "CPU" || !strings.Contains(err.Error(), "RWKV_CPU") {
			t.Errorf("a level that the processor has not: %+v, %v", l, err)
		}
		t.Setenv("RWKV_CPU", "generic")
		if l, err := (&Device{Threads: 2}).Roofline(1 << 20); err != nil || l.Read < 1e8 || l.Flops < 1e7 {
			t.Errorf("generic, 2 threads: %+v, %v", l, err)
		}
	})
}

// A level of features that the processor has not is an error of the CPU before anything runs, whether the CPU is asked
// for or stands in. A GPU does not look at it.
func TestLevel(t *testing.T) {
	t.Setenv("RWKV_VULKAN_LOADER", filepath.Join(t.TempDir(), "none"))
	t.Setenv("RWKV_CPU", "sse9")
	for _, spec := range []string{"cpu", "auto"} {
		var told string
		_, err := Open(spec, func(line string) { told = line })
		var e *cpu.LevelError
		if !errors.As(err, &e) || e.Where != "RWKV_CPU" || e.Got != "sse9" || len(e.Want) == 0 || told != "" {
			t.Errorf("%s: %v, told %q", spec, err, told)
		}
	}
	var e *Error
	if _, err := Open("gpu", nil); !errors.As(err, &e) {
		t.Errorf("want the error of the GPU, got %v", err)
	}
	t.Setenv("RWKV_CPU", "generic")
	if d, err := Open("auto", nil); err != nil || d.WhyCPU() == nil {
		t.Errorf("generic: %v", err)
	}
}

// A device that closes saves what its tuner could not save before.
func TestCloseSavesTuning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	path := filepath.Join(dir, "tuning.json")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // where a folder is to be
		t.Fatal(err)
	}
	d := &Device{Tuner: tune.New(path, true, nil)}
	d.Tuner.Keep(&tune.Choice{Key: "a product", Forms: []tune.Form{{Rows: 1}}}, tune.Form{Rows: 1}, time.Second)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if known := tune.New(path, false, nil).Known(); known["a product"].Rows != 1 {
		t.Errorf("want it kept, got %v", known)
	}
}
