package gpu_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// A recording is data: making one calls nothing of Vulkan, what is recorded twice is listed alike, and what differs in
// a word is not. Only its end makes commands.
func TestRecordingIsData(t *testing.T) {
	ctl := gputest.Faulty(t, waitLimit("30"))
	if ctl == nil {
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
	k, err := d.NewKernel(gpu.KernelDesc{Name: "next", SPIRV: code(t, "next"), Bindings: nextBindings, PushBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	x, err := d.NewBuffer("x", 1024, gpu.DeviceLocal)
	if err != nil {
		t.Fatal(err)
	}
	calls := func(do func()) int {
		t.Helper()
		if err := ctl.Begin(faultvk.Fault{}); err != nil {
			t.Fatal(err)
		}
		do()
		r, err := ctl.Report()
		if err != nil {
			t.Fatal(err)
		}
		return r.Calls
	}
	record := func(add uint32) *gpu.Recording {
		rec := d.NewRecording()
		rec.Fill(x.All(), 1)
		rec.Dispatch(k, []gpu.Range{x.Range(0, 128), x.Range(512, 128)}, words(32, add), 1, 1, 1)
		rec.Copy(x.Range(256, 128), x.Range(512, 128))
		return rec
	}
	var a, b, other *gpu.Recording
	if n := calls(func() { a, b, other = record(7), record(7), record(8) }); n != 0 {
		t.Errorf("want recordings made without Vulkan, got %d calls", n)
	}
	if a.String() != b.String() || a.String() == other.String() || strings.Count(a.String(), "\n") != 6 {
		t.Errorf("want two recordings alike and one that is not:\n%s\n%s\n%s", a, b, other)
	}
	var c *gpu.Commands
	if n := calls(func() { c, err = a.End() }); n == 0 || err != nil {
		t.Errorf("want commands made at the end, got %d calls (%v)", n, err)
	}
	c.Release()
	x.Release()
	if _, err := b.End(); err == nil || !strings.Contains(err.Error(), "released") {
		t.Errorf("want an error of a buffer that was released before the end, got %v", err)
	}
	k.Release()
	if err := errors.Join(d.Close(), in.Close()); err != nil {
		t.Error(err)
	}
}
