package gpu_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

const waitForFences = "vkWaitForFences"

// A driver without memory to wait with leaves open whether the device still works. Then commands and copies count as
// under way: they are waited for before they start again, and what they use stays until a wait succeeds, at the latest
// to the device's end.
func TestWaitWithoutMemory(t *testing.T) {
	ctl := gputest.Faulty(t, waitLimit("30"))
	if ctl == nil {
		return
	}
	begin := func(mode faultvk.Mode) {
		t.Helper()
		if err := ctl.Begin(faultvk.Fault{Function: waitForFences, At: 1, Result: faultvk.OutOfHostMemory, Mode: mode}); err != nil {
			t.Fatal(err)
		}
	}
	live := func() string {
		t.Helper()
		r, err := ctl.Report()
		if err != nil || r.Strange != 0 {
			t.Fatalf("%d destroyed that were not (%v)", r.Strange, err)
		}
		return r.Live
	}
	waits := func(want int, what string) {
		t.Helper()
		calls, err := ctl.Trace()
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, c := range calls {
			if c.Function == waitForFences {
				got++
			}
		}
		if got != want {
			t.Errorf("%s: want %d waits, got %d", what, want, got)
		}
	}
	noMemory := func(err error) {
		t.Helper()
		if !errors.Is(err, gpu.ErrOutOfMemory) {
			t.Errorf("want a wait out of memory, got %v", err)
		}
	}
	none := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}

	in, err := gpu.Open(gpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true, NoDirectAccess: true})
	if err != nil {
		t.Fatal(err)
	}
	filled := func(value uint32) (*gpu.Buffer, *gpu.Commands) {
		b := buffer(t, d, "b", 64, gpu.DeviceLocal)
		rec := d.NewRecording()
		rec.Fill(b.All(), value)
		return b, end(t, rec)
	}

	b, c := filled(7)
	begin(faultvk.Once)
	noMemory(c.Run())
	if _, err := c.Timestamps(); err == nil || !strings.Contains(err.Error(), "before Wait") {
		t.Errorf("commands that may be under way have timestamps: %v", err)
	}
	none(c.Run())
	waits(3, "commands that run again")
	begin(faultvk.Once)
	noMemory(c.Run())
	c.Release()
	waits(2, "commands that are released")

	begin(faultvk.Once)
	data := bytes.Repeat([]byte{5}, 64)
	noMemory(d.Upload(b.All(), data))
	none(d.Upload(b.All(), data))
	waits(3, "an upload after one")
	begin(faultvk.Once)
	got := make([]byte, 64)
	noMemory(d.Download(got, b.All()))
	none(d.Download(got, b.All()))
	waits(3, "a download after one")
	if !bytes.Equal(got, data) {
		t.Errorf("downloaded %v", got)
	}

	other, kept := filled(8)
	begin(faultvk.Sticky)
	noMemory(kept.Run())
	noMemory(d.Upload(b.All(), data))
	before := live()
	kept.Release()
	other.Release()
	b.Release()
	if got := live(); got != before {
		t.Errorf("live before what may be under way is released: %s; then: %s", before, got)
	}
	none(d.Close())
	none(in.Close())
	if left := live(); left != "" {
		t.Errorf("left are %s", left)
	}
}

// Whoever waits for the driver's compiler when the device is found hanging waits no longer: it may never be done.
func TestHangWhileCompiling(t *testing.T) {
	if gputest.Faulty(t, waitLimit("30")) == nil { // for the device, which nobody can use afterwards
		return
	}
	in, err := gpu.Open(gpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true})
	if err != nil {
		t.Fatal(err)
	}
	defer gpu.HoldCompilers(d)()
	desc := gpu.KernelDesc{Name: "next", SPIRV: code(t, "next"), Bindings: nextBindings, PushBytes: 8}
	k, err := d.StartKernel(desc)
	if err != nil {
		t.Fatal(err)
	}
	x, y := buffer(t, d, "x", 128, gpu.DeviceLocal), buffer(t, d, "y", 128, gpu.DeviceLocal)
	rec := d.NewRecording()
	rec.Dispatch(k, []gpu.Range{x.All(), y.All()}, words(32, 1), 1, 1, 1)
	calls := map[string]func() error{
		"the end of a recording": func() error { _, err := rec.End(); return err },
		"a kernel":               func() error { _, err := d.NewKernel(desc); return err },
		"the release of one":     func() error { k.Release(); return gpu.ErrTimeout },
	}
	type result struct {
		what string
		err  error
	}
	results := make(chan result, len(calls)+1)
	for what, call := range calls {
		go func() { results <- result{what, call()} }()
	}
	select {
	case r := <-results:
		t.Fatalf("%s did not wait: %v", r.what, r.err)
	case <-time.After(50 * time.Millisecond):
	}
	gpu.Hang(d)
	for range calls {
		select {
		case r := <-results:
			if !errors.Is(r.err, gpu.ErrTimeout) {
				t.Errorf("%s: want the error of a device that hangs, got %v", r.what, r.err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a call waits for the compiler of a device that hangs")
		}
	}
	go func() { results <- result{"the end of the device", d.Close()} }()
	select {
	case r := <-results:
		if !errors.Is(r.err, gpu.ErrTimeout) {
			t.Errorf("%s: %v", r.what, r.err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a device that hangs waits for its compilers when it is closed")
	}
}
