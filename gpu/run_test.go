package gpu_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

var nextBindings = []gpu.Binding{{Name: "src", Access: gpu.Read}, {Name: "dst", Access: gpu.Write}}

// nextStep is one step of testdata/next.comp.
func nextStep(src []uint32, add uint32) []uint32 {
	dst := make([]uint32, len(src))
	for i := range dst {
		dst[i] = 5*src[(i+1)%len(src)] + add
	}
	return dst
}

// recordChain records steps of next.comp from a to b and back.
func recordChain(t *testing.T, d *gpu.Device, k *gpu.Kernel, a, b gpu.Range, n, steps int) *gpu.Commands {
	rec := d.NewRecording()
	for i := range steps {
		src, dst := a, b
		if i%2 == 1 {
			src, dst = b, a
		}
		rec.Dispatch(k, []gpu.Range{src, dst}, words(uint32(n), uint32(i)), uint32(n+31)/32, 1, 1)
	}
	return end(t, rec)
}

func checkWords(t *testing.T, got []byte, want []uint32) {
	t.Helper()
	for i, w := range want {
		if g := word(got, i); g != w {
			t.Fatalf("word %d is %d, want %d", i, g, w)
		}
	}
}

// A chain of dependent dispatches is right only if every barrier is there.
func TestDependentChain(t *testing.T) {
	d := gputest.Device(t)
	const n, steps = 999, 1000
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	both := buffer(t, d, "both", 16<<10, gpu.DeviceLocal)
	a, b := both.Range(0, 4*n), both.Range(8<<10, 4*n)
	want := make([]uint32, n)
	for i := range want {
		want[i] = uint32(i * i)
	}
	upload(t, d, a, words(want...))
	c := recordChain(t, d, k, a, b, n, steps)
	if s := c.Stats(); s.Dispatches != steps || s.Barriers != steps-1 || s.Sets != 2 {
		t.Errorf("stats %+v, want %d dispatches, %d barriers, 2 sets", s, steps, steps-1)
	}
	run(t, c)
	for i := range steps {
		want = nextStep(want, uint32(i))
	}
	checkWords(t, download(t, d, a), want)
}

// Dispatches that touch different ranges, or only read the same, need no barrier.
func TestIndependentDispatches(t *testing.T) {
	d := gputest.Device(t)
	const n, parts = 32, 40
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	src, dst := buffer(t, d, "src", 4*n, gpu.Upload), buffer(t, d, "dst", 256*parts, gpu.Readback)
	copy(src.Bytes(), words(make([]uint32, n)...))
	rec := d.NewRecording()
	for i := range parts {
		rec.Dispatch(k, []gpu.Range{src.All(), dst.Range(256*i, 4*n)}, words(n, uint32(i)), 1, 1, 1)
	}
	c := end(t, rec)
	if s := c.Stats(); s.Barriers != 0 || s.Sets != parts {
		t.Errorf("stats %+v, want no barrier and %d sets", s, parts)
	}
	run(t, c)
	for i := range parts {
		if got := word(dst.Bytes()[256*i:], 5); got != uint32(i) {
			t.Errorf("part %d holds %d", i, got)
		}
	}
}

func TestResubmit(t *testing.T) {
	d := gputest.Device(t)
	const n, steps, runs = 33, 4, 500
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	a, b := buffer(t, d, "a", 4*n, gpu.DeviceLocal), buffer(t, d, "b", 4*n, gpu.DeviceLocal)
	want := make([]uint32, n)
	want[3] = 1
	upload(t, d, a.All(), words(want...))
	c := recordChain(t, d, k, a.All(), b.All(), n, steps)
	for range runs {
		run(t, c)
		for i := range steps {
			want = nextStep(want, uint32(i))
		}
	}
	checkWords(t, download(t, d, a.All()), want)
}

// Several Commands in flight run in the order of their Submits.
func TestInFlight(t *testing.T) {
	d := gputest.Device(t)
	const n, rounds = 64, 20
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	a, b := buffer(t, d, "a", 4*n, gpu.DeviceLocal), buffer(t, d, "b", 4*n, gpu.DeviceLocal)
	want := make([]uint32, n)
	upload(t, d, a.All(), words(want...))
	var cs []*gpu.Commands
	for range rounds {
		cs = append(cs, recordChain(t, d, k, a.All(), b.All(), n, 2))
	}
	for _, c := range cs {
		if err := c.Submit(); err != nil {
			t.Fatal(err)
		}
		want = nextStep(nextStep(want, 0), 1)
	}
	if err := cs[0].Submit(); err == nil {
		t.Error("commands under way were submitted again")
	}
	for i := range cs { // in any order
		if err := cs[len(cs)-1-i].Wait(); err != nil {
			t.Fatal(err)
		}
	}
	checkWords(t, download(t, d, a.All()), want)
}

func TestRunDoesNotAllocate(t *testing.T) {
	d := gputest.Device(t)
	const n = 32
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	a, b := buffer(t, d, "a", 4*n, gpu.DeviceLocal), buffer(t, d, "b", 4*n, gpu.DeviceLocal)
	c := recordChain(t, d, k, a.All(), b.All(), n, 3)
	if got := testing.AllocsPerRun(50, func() {
		if err := c.Run(); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%g allocations per Run, want 0", got)
	}
}

func TestFillAndCopy(t *testing.T) {
	d := gputest.Device(t)
	a, b := buffer(t, d, "a", 64, gpu.DeviceLocal), buffer(t, d, "b", 64, gpu.Readback)
	rec := d.NewRecording()
	rec.Fill(a.All(), 7)
	rec.Fill(a.Range(16, 8), 9)
	rec.Copy(b.All(), a.All())
	rec.Copy(b.Range(1, 4), b.Range(40, 4))
	c := end(t, rec)
	if s := c.Stats(); s.Copies != 4 || s.Barriers != 3 {
		t.Errorf("stats %+v, want 4 copies, 3 barriers", s)
	}
	run(t, c)
	if got := b.Bytes(); word(got, 3) != 7 || word(got, 4) != 9 || word(got, 6) != 7 || got[0] != 7 || got[1] != 7 || got[4] != 0 {
		t.Errorf("got % x", got)
	}
}

func TestTimestamps(t *testing.T) {
	d := gputest.Device(t)
	const n = 4096
	k := kernel(t, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	a, b := buffer(t, d, "a", 4*n, gpu.DeviceLocal), buffer(t, d, "b", 4*n, gpu.DeviceLocal)
	rec := d.NewRecording()
	rec.Timestamp(0)
	for i := range 4 {
		rec.Dispatch(k, []gpu.Range{a.All(), b.All()}, words(n, 1), n/32, 1, 1)
		rec.Timestamp(2 * (i + 1))
	}
	c := end(t, rec)
	run(t, c)
	times, err := c.Timestamps()
	if !d.Info().Features.Timestamps {
		if !errors.Is(err, gpu.ErrNoTimestamps) {
			t.Errorf("error %v, want ErrNoTimestamps", err)
		}
		return
	}
	if err != nil || len(times) != 9 || times[0] != 0 || times[1] != -1 {
		t.Fatalf("times %v, error %v", times, err)
	}
	for i := 2; i < 9; i += 2 {
		if times[i] < times[i-2] || times[i] > time.Minute {
			t.Errorf("times %v go backward or too far", times)
		}
	}
}
