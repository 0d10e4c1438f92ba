package gpu_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// waitLimit sets after how many seconds a wait means that the device hangs.
func waitLimit(seconds string) string { return "RWKV_WAIT_LIMIT=" + seconds }

// work uses every kind of object and call once or more, and gives everything back whatever happens. begins, if not nil,
// is told of the stages upload, run, download and end.
func work(onHang func(error), begins func(stage string)) (result []byte, err error) {
	if begins == nil {
		begins = func(string) {}
	}
	in, err := gpu.Open(gpu.Options{OnHang: onHang})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true, NoDirectAccess: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		begins("end")
		err = errors.Join(err, d.Close())
	}()
	const n = 100000
	x, err := d.NewBuffer("x", 4*n, gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	defer x.Release()
	y, err := d.NewBuffer("y", 4*n, gpu.DeviceLocal)
	if err != nil {
		return nil, err
	}
	defer y.Release()
	code, err := os.ReadFile("testdata/saxpy.spv")
	if err != nil {
		return nil, err
	}
	k, err := d.NewKernel(gpu.KernelDesc{Name: "saxpy", SPIRV: code, Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{64}})
	if err != nil {
		return nil, err
	}
	defer k.Release()
	if code, err = os.ReadFile("testdata/texel.spv"); err != nil {
		return nil, err
	}
	tex, err := d.NewKernel(gpu.KernelDesc{Name: "texel", SPIRV: code, PushBytes: 4, Bindings: []gpu.Binding{
		{Name: "tex", Kind: gpu.UniformTexel, Access: gpu.Read, Format: gpu.RGBA32F}, {Name: "o", Access: gpu.Write}}})
	if err != nil {
		return nil, err
	}
	defer tex.Release()
	begins("upload")
	for b, v := range map[*gpu.Buffer]float32{x: 1, y: 2} {
		if err := d.Upload(b.All(), repeated(n, v)); err != nil {
			return nil, err
		}
	}
	rec := d.NewRecording()
	rec.SetName("work")
	rec.Timestamp(0)
	rec.Dispatch(k, []gpu.Range{x.All(), y.All()}, append(repeated(1, 3), 0xa0, 0x86, 1, 0), (n+63)/64, 1, 1)
	rec.Timestamp(1)
	rec.Dispatch(tex, []gpu.Range{y.Range(0, 1024), x.Range(0, 1024)}, make([]byte, 4), 1, 1, 1)
	c, err := rec.End()
	if err != nil {
		return nil, err
	}
	defer c.Release()
	begins("run")
	for range 3 {
		if err := c.Run(); err != nil {
			return nil, err
		}
	}
	if _, err := c.Timestamps(); err != nil && !errors.Is(err, gpu.ErrNoTimestamps) {
		return nil, err
	}
	begins("download")
	result = make([]byte, 4*n)
	return result, d.Download(result, y.All())
}

func repeated(n int, v float32) []byte {
	return bytes.Repeat(gpu.BytesOf([]float32{v}), n)
}

// Whichever Vulkan call fails, the error says so by its type, or the work is done all the same; and nothing is left or
// destroyed twice.
func TestFaults(t *testing.T) {
	ctl, each := gputest.FaultySeries(t, waitLimit("30"))
	if ctl == nil {
		return
	}
	run := func(f faultvk.Fault) ([]byte, faultvk.Report, error) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
		got, err := work(nil, nil)
		report, failed := ctl.Report()
		if failed != nil {
			t.Fatal(failed)
		}
		return got, report, err
	}
	want, _, err := run(faultvk.Fault{})
	if err != nil {
		t.Fatal(err)
	}
	calls, err := ctl.Trace()
	if err != nil || len(calls) < 60 {
		t.Fatalf("%d calls (%v)", len(calls), err)
	}
	tried, failures, moved := 0, 0, 0
	each(func(i int) (more bool) {
		tried++
		call, rng := calls[i], rand.New(rand.NewPCG(uint64(i), 2))
		results := faultvk.Results(call.Function)
		for _, mode := range []faultvk.Mode{faultvk.Once, faultvk.Sticky} {
			f := faultvk.Fault{At: i + 1, Result: results[rng.IntN(len(results))], Mode: mode}
			got, r, err := run(f)
			what := fmt.Sprintf("%+v in %s", f, call.Function)
			var e *gpu.Error
			if !r.Fired || r.Function != call.Function { // a long wait is several calls
				moved++
				if !r.Fired || !slices.Contains(faultvk.Results(r.Function), f.Result) {
					continue
				}
			}
			switch {
			case err == nil && !bytes.Equal(got, want):
				t.Errorf("%s: no error, and another result", what)
			case err != nil && (!gpu.IsFault(err) || strings.Contains(err.Error(), "%!")):
				t.Errorf("%s: %v: not the device's fault", what, err)
			case errors.Is(err, gpu.ErrNoLoader):
				t.Errorf("%s: %v: there is one", what, err)
			case err != nil && errors.As(err, &e) && e.Result != f.Result && r.Function != "vkCreateInstance":
				t.Errorf("%s: %v: another result", what, err)
			case err != nil && f.Result == faultvk.DeviceLost && !errors.Is(err, gpu.ErrDeviceLost):
				t.Errorf("%s: %v does not match ErrDeviceLost", what, err)
			}
			if err != nil {
				failures++
			}
			if r.Live != "" || r.Strange != 0 {
				t.Errorf("%s: %v: left are %s; %d destroyed that were not", what, err, r.Live, r.Strange)
			}
		}
		return i+1 < len(calls)
	})
	if tried > 10 && (failures < tried || moved > tried) {
		t.Errorf("only %d of %d faults were noticed, %d were in another call", failures, 2*tried, moved)
	}
}

// A wait that takes too long becomes an error that names what was waited for, and whatever comes after it, to the end
// of the device, returns at once. If the driver's call does not even return, who opened the instance is told the same.
func TestHang(t *testing.T) {
	ctl := gputest.Faulty(t, waitLimit("1"))
	if ctl == nil {
		return
	}
	type place struct{ stage, function, name string } // of what is waited for
	places := []place{{"upload", "vkWaitForFences", "upload to buffer"}, {"run", "vkWaitForFences", "work"},
		{"download", "vkWaitForFences", `download from buffer "y"`}, {"end", "vkDeviceWaitIdle", "the end of all work"}}
	for _, mode := range []faultvk.Mode{faultvk.Sticky, faultvk.Hang} {
		for _, p := range places {
			if mode == faultvk.Sticky && p.function == "vkDeviceWaitIdle" {
				continue // which knows no timeout
			}
			if err := ctl.Begin(faultvk.Fault{}); err != nil {
				t.Fatal(err)
			}
			f := faultvk.Fault{Function: p.function, At: 1, Result: faultvk.Timeout, Mode: mode}
			told, returned := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := work(func(err error) { told <- err }, func(stage string) {
					if stage != p.stage {
						return
					}
					if err := ctl.Begin(f); err != nil {
						t.Error(err)
					}
				})
				returned <- err
			}()
			var err error
			select {
			case err = <-told:
				if mode != faultvk.Hang {
					t.Errorf("%+v, %s: a call that returns counted as one that does not", p, mode)
				}
			case err = <-returned:
			case <-time.After(time.Minute):
			}
			if !errors.Is(err, gpu.ErrTimeout) || !strings.Contains(err.Error(), p.name) {
				t.Errorf("%+v, %s: %v, want a timeout of that name", p, mode, err)
			} else if lines := strings.Split(err.Error(), "\n"); len(slices.Compact(lines)) != 1 {
				t.Errorf("want one error, got %q", err)
			}
		}
	}
}

// What a driver without memory says to a wait for all work is the device's error at its end, and nothing is left or in
// use when it is given back.
func TestCloseWithoutMemory(t *testing.T) {
	ctl := gputest.Faulty(t, waitLimit("30"))
	if ctl == nil {
		return
	}
	const waitIdle = "vkDeviceWaitIdle"
	for _, mode := range []faultvk.Mode{faultvk.Once, faultvk.Sticky} {
		for result, want := range map[int32]error{faultvk.OutOfHostMemory: gpu.ErrOutOfMemory, faultvk.OutOfDeviceMemory: gpu.ErrOutOfMemory, faultvk.DeviceLost: nil} {
			if err := ctl.Begin(faultvk.Fault{Function: waitIdle, At: 1, Result: result, Mode: mode}); err != nil {
				t.Fatal(err)
			}
			_, err := work(nil, nil)
			r, failed := ctl.Report()
			if failed != nil || !r.Fired || r.Live != "" || r.Strange != 0 {
				t.Errorf("%s, %d: left are %s; %d destroyed that were not (%v)", mode, result, r.Live, r.Strange, failed)
			}
			if !errors.Is(err, want) || want != nil && !strings.Contains(err.Error(), waitIdle) {
				t.Errorf("%s, %d: want %v, got %v", mode, result, want, err)
			}
		}
	}
}

// Where a driver offers timestamps and writes none, the error says so, and does not blame the commands.
func TestTimestampsNotWritten(t *testing.T) {
	ctl := gputest.Faulty(t, waitLimit("30"))
	if ctl == nil {
		return
	}
	const notReady = 1
	if err := ctl.Begin(faultvk.Fault{Function: "vkGetQueryPoolResults", At: 1, Result: notReady}); err != nil {
		t.Fatal(err)
	}
	d := gputest.Device(t)
	rec := d.NewRecording()
	rec.SetName("nothing")
	rec.Timestamp(0)
	c := end(t, rec)
	if _, err := c.Timestamps(); err == nil || errors.Is(err, gpu.ErrNoTimestamps) || !strings.Contains(err.Error(), "got ran false, slot 0 true") {
		t.Errorf("before it ran: %v", err)
	}
	run(t, c)
	_, err := c.Timestamps()
	if want := "vulkan: nothing: " + gpu.ErrNoTimestamps.Error() + ": the driver offers them, and wrote none"; !errors.Is(err, gpu.ErrNoTimestamps) || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
	if times, err := c.Timestamps(); err != nil || len(times) != 1 {
		t.Errorf("want a time once the driver writes it, got %v (%v)", times, err)
	}
	rec = d.NewRecording()
	rec.Timestamp(1)
	c = end(t, rec)
	run(t, c)
	if _, err := c.Timestamps(); err == nil || errors.Is(err, gpu.ErrNoTimestamps) || !strings.Contains(err.Error(), "got ran true, slot 0 false") {
		t.Errorf("without slot 0: %v", err)
	}
}
