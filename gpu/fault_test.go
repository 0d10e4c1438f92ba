package gpu_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

const faultEnv = "RWKV_TEST_FAULTS"

// faulty runs the test again in a process that uses the loader of faultvk, with a limit of a wait in seconds. In that process it
// returns the control, else nil.
func faulty(t *testing.T, limit string) *faultvk.Control {
	t.Helper()
	if os.Getenv(faultEnv) == "" {
		cmd := faultProcess(t, faultvk.New(t), limit)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		} else if !strings.Contains(string(out), "PASS") {
			t.Errorf("the test did not run: %s", out)
		}
		return nil
	}
	c, err := faultvk.Open()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faultProcess returns the test as a process with a loader, in which a wait of so many seconds means that the device hangs.
func faultProcess(t *testing.T, ctl *faultvk.Control, limit string) *exec.Cmd {
	t.Helper()
	gputest.Instance(t)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=120s")
	cmd.Env = append(append(os.Environ(), ctl.Env()...), faultEnv+"=1", "RWKV_WAIT_LIMIT="+limit)
	return cmd
}

// work uses every kind of object and call once or more, and gives everything back whatever happens.
func work(onHang func(error)) (result []byte, err error) {
	in, err := gpu.Open(gpu.Options{OnHang: onHang})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	d, err := in.Device(gpu.Pick(in.Devices()), gpu.DeviceOptions{NoPipelineCache: true, NoDirectAccess: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
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
	for range 3 {
		if err := c.Run(); err != nil {
			return nil, err
		}
	}
	if _, err := c.Timestamps(); err != nil && !errors.Is(err, gpu.ErrNoTimestamps) {
		return nil, err
	}
	result = make([]byte, 4*n)
	return result, d.Download(result, y.All())
}

func repeated(n int, v float32) []byte {
	return bytes.Repeat(gpu.BytesOf([]float32{v}), n)
}

// Whichever Vulkan call fails, the error says so by its type, or the work is done all the same; and nothing is left or
// destroyed twice.
func TestFaults(t *testing.T) {
	ctl := faulty(t, "30")
	if ctl == nil {
		return
	}
	run := func(f faultvk.Fault) ([]byte, faultvk.Report, error) {
		t.Helper()
		if err := ctl.Begin(f); err != nil {
			t.Fatal(err)
		}
		got, err := work(nil)
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
	rng := rand.New(rand.NewPCG(1, 2))
	failures := 0
	for i, call := range calls {
		results := faultvk.Results(call.Function)
		for _, mode := range []faultvk.Mode{faultvk.Once, faultvk.Sticky} {
			f := faultvk.Fault{At: i + 1, Result: results[rng.IntN(len(results))], Mode: mode}
			got, r, err := run(f)
			what := fmt.Sprintf("%+v in %s", f, call.Function)
			var e *gpu.Error
			switch {
			case !r.Fired || r.Function != call.Function:
				t.Fatalf("%s: did not happen: %+v", what, r)
			case err == nil && !bytes.Equal(got, want):
				t.Errorf("%s: no error, and another result", what)
			case err != nil && (!gpu.IsFault(err) || strings.Contains(err.Error(), "%!")):
				t.Errorf("%s: %v: not the device's fault", what, err)
			case err != nil && errors.As(err, &e) && e.Result != f.Result && call.Function != "vkCreateInstance":
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
	}
	if failures < len(calls) {
		t.Errorf("only %d of %d faults were noticed", failures, 2*len(calls))
	}
}

// A wait that takes too long becomes an error that names what was waited for, and whatever comes after it, to the end of the
// device, returns at once. If the driver's call does not even return, who opened the instance is told the same.
func TestHang(t *testing.T) {
	ctl := faulty(t, "1")
	if ctl == nil {
		return
	}
	if err := ctl.Begin(faultvk.Fault{}); err != nil {
		t.Fatal(err)
	}
	if _, err := work(nil); err != nil {
		t.Fatal(err)
	}
	calls, err := ctl.Trace()
	if err != nil {
		t.Fatal(err)
	}
	waits := 0
	for _, call := range calls {
		if call.Function == "vkWaitForFences" {
			waits++
		}
	}
	type place struct {
		function string
		at       int
		name     string // of what is waited for
	}
	places := []place{{"vkWaitForFences", 1, "upload to buffer"}, {"vkWaitForFences", waits / 2, ""}, {"vkWaitForFences", waits, `download from buffer "y"`},
		{"vkDeviceWaitIdle", 1, "the end of all work"}}
	for _, mode := range []faultvk.Mode{faultvk.Sticky, faultvk.Hang} {
		for _, p := range places {
			if mode == faultvk.Sticky && p.function == "vkDeviceWaitIdle" {
				continue // which knows no timeout
			}
			if err := ctl.Begin(faultvk.Fault{Function: p.function, At: p.at, Result: faultvk.Timeout, Mode: mode}); err != nil {
				t.Fatal(err)
			}
			told, returned := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := work(func(err error) { told <- err })
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
