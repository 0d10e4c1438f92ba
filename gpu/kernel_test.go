package gpu_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

func TestEcho(t *testing.T) {
	d := gputest.Device(t)
	k := kernel(t, d, gpu.KernelDesc{Name: "echo", Bindings: []gpu.Binding{{Name: "o", Access: gpu.Write}}, PushBytes: 128,
		Spec: []uint32{4, 2, 11, math.Float32bits(2.5)}})
	const x, y, z = 3, 2, 2
	out := buffer(t, d, "out", 4*40*x*y*z, gpu.Readback)
	push := make([]uint32, 32)
	for i := range push {
		push[i] = uint32(1000 + i)
	}
	rec := d.NewRecording()
	rec.Dispatch(k, []gpu.Range{out.All()}, words(push...), x, y, z)
	run(t, end(t, rec))
	for g := range x * y * z {
		got := out.Bytes()[160*g:]
		checkWords(t, got, append(push[:32:32], 11, math.Float32bits(2.5), 4, 2, uint32(g%x), uint32(g/x%y), uint32(g/x/y), 0xabcdef01))
	}
}

func TestTexel(t *testing.T) {
	d := gputest.Device(t)
	const n = 50
	out := buffer(t, d, "out", 4*n, gpu.Readback)
	for _, c := range []struct {
		format gpu.Format
		texel  func(i int) []byte
		want   func(i int) float32
	}{
		{gpu.R32F, func(i int) []byte { return floats(float32(i)) }, func(i int) float32 { return float32(i) }},
		{gpu.RGBA32F, func(i int) []byte { return floats(float32(i), 3, float32(-i), 99) }, func(i int) float32 { return float32(i) + 6 - 4*float32(i) }},
	} {
		k := kernel(t, d, gpu.KernelDesc{Name: "texel", PushBytes: 4, Bindings: []gpu.Binding{
			{Name: "tex", Kind: gpu.UniformTexel, Access: gpu.Read, Format: c.format}, {Name: "o", Access: gpu.Write}}})
		at := 256 // a range that does not start the buffer
		tex := buffer(t, d, "tex "+c.format.String(), at+n*c.format.Bytes(), gpu.DeviceLocal)
		var data []byte
		for i := range n {
			data = append(data, c.texel(i)...)
		}
		r := tex.Range(at, len(data))
		upload(t, d, r, data)
		rec := d.NewRecording()
		rec.Fill(out.All(), 0)
		rec.Dispatch(k, []gpu.Range{r, out.All()}, words(n), 2, 1, 1)
		rec.Dispatch(k, []gpu.Range{r, out.All()}, words(n), 2, 1, 1)
		cs := end(t, rec)
		if s := cs.Stats(); s.Sets != 1 {
			t.Errorf("%s: %d sets for two equal dispatches", c.format, s.Sets)
		}
		run(t, cs)
		for i := range n {
			if got, want := float(out.Bytes(), i), c.want(i); got != want {
				t.Errorf("%s: texel %d sums to %g, want %g", c.format, i, got, want)
			}
		}
	}
}

func TestSubgroup(t *testing.T) {
	d := gputest.Device(t)
	in := d.Info()
	s := in.Subgroup
	if s.Size < 1 || s.Min > s.Size || s.Max < s.Size {
		t.Fatalf("subgroup %+v makes no sense", s)
	}
	if !s.HasOp("arithmetic") {
		t.Skipf("%s has no subgroup arithmetic", in.Name)
	}
	out := buffer(t, d, "out", 16, gpu.Readback)
	ask := func(width, size int, full bool) (subgroup, lanes uint32) {
		k := kernel(t, d, gpu.KernelDesc{Name: "subgroup", Bindings: []gpu.Binding{{Name: "o", Access: gpu.Write}},
			Spec: []uint32{uint32(width)}, SubgroupSize: size, FullSubgroups: full})
		rec := d.NewRecording()
		rec.Dispatch(k, []gpu.Range{out.All()}, nil, 1, 1, 1)
		run(t, end(t, rec))
		b := out.Bytes()
		if lanes := word(b, 1); word(b, 2) != lanes*(lanes-1)/2 {
			t.Errorf("%d lanes sum to %d", lanes, word(b, 2))
		}
		return word(b, 0), word(b, 1)
	}
	if size, lanes := ask(2*s.Max, 0, false); int(size) < s.Min || int(size) > s.Max || lanes != size {
		t.Errorf("size %d with %d lanes, device says %+v", size, lanes, s)
	}
	if in.Features.SubgroupControl && in.Features.FullSubgroups {
		for size := s.Min; size <= s.Max; size *= 2 {
			if got, lanes := ask(2*size, size, true); int(got) != size || int(lanes) != size {
				t.Errorf("required %d, got %d with %d lanes", size, got, lanes)
			}
		}
	}
}

// A recording may use kernels that the driver has not compiled, between other commands: it does what it does with
// others, and waits for them at its end, where it fails if the driver could not compile one.
func TestStartKernel(t *testing.T) {
	d := gputest.Device(t)
	const count, echoed, place = 5, 40, 256 // a multiple of every device's alignment
	out := buffer(t, d, "out", place*count, gpu.Readback)
	clear(out.Bytes())
	desc := func(i int) gpu.KernelDesc {
		return gpu.KernelDesc{Name: "echo", SPIRV: code(t, "echo"), Bindings: []gpu.Binding{{Name: "o", Access: gpu.Write}}, PushBytes: 128,
			Spec: []uint32{1, 1, uint32(20 + i), math.Float32bits(2.5)}}
	}
	record := func(kernels []*gpu.Kernel) *gpu.Recording {
		rec := d.NewRecording()
		rec.Timestamp(0)
		push := make([]byte, 128)
		for i, k := range kernels {
			at := out.Range(place*i, 4*echoed)
			push[0] = byte(i) // which the recording has to copy
			rec.Fill(at, 7)
			rec.Dispatch(k, []gpu.Range{at}, push, 1, 1, 1)
		}
		rec.Timestamp(1)
		return rec
	}
	var made, started []*gpu.Kernel
	for i := range count {
		k, err := d.NewKernel(desc(i))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, k)
	}
	rec := record(made)
	wanted := rec.Stats()
	run(t, end(t, rec))
	want := bytes.Clone(out.Bytes())
	release := gpu.HoldCompilers(d)
	for i := range count {
		k, err := d.StartKernel(desc(i))
		if err != nil || k.Failed() {
			t.Fatal(err)
		}
		started = append(started, k)
	}
	clear(out.Bytes())
	rec = record(started)
	if got := rec.Stats(); got != wanted {
		t.Errorf("recorded %+v, want %+v", got, wanted)
	}
	go release()
	run(t, end(t, rec))
	if !bytes.Equal(out.Bytes(), want) {
		t.Error("kernels that were compiled later do something else")
	}
	failure := errors.New("no registers left")
	gpu.Fail(started[2], failure)
	if c, err := record(started).End(); !errors.Is(err, failure) {
		t.Errorf("want %v, got %v, %v", failure, c, err)
	}
	if !started[2].Failed() || started[1].Failed() {
		t.Error("want the third kernel failed alone")
	}
	for _, k := range append(made, started...) {
		k.Release()
	}
}
