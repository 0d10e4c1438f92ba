package roofline

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

func TestMain(m *testing.M) { gputest.Main(m, func() {}) }

// What the rates are counted by is what the kernels of limits do: each reads every byte, or takes every multiply-add of
// every chain, once.
func TestBenchKernels(t *testing.T) {
	dev := gputest.Shared(t)
	const groups, steps = 3, 2
	local := profile.Of(dev.Info()).Local.Plain
	lanes := groups * int(local)
	out, err := dev.NewBuffer("sums", 4*lanes, gpu.Readback)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Release()
	input := func(data []byte) *gpu.Buffer {
		b, err := dev.NewBuffer("input", len(data), gpu.DeviceLocal)
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(b.All(), data); err != nil {
			t.Fatal(err)
		}
		return b
	}
	run := func(record func(*gpu.Recording)) {
		clear(out.Bytes())
		rec := dev.NewRecording()
		record(rec)
		if err := rec.Run(); err != nil {
			t.Fatal(err)
		}
	}

	data := make([]byte, 16*8*steps*lanes)
	words, want := gpu.Uint32s(data), make([]uint32, lanes)
	for i := range words {
		words[i] = uint32(i) * 2654435761
		unit := i / 4
		group, lane := unit/(steps*8*int(local)), unit%int(local)
		want[group*int(local)+lane] += words[i]
	}
	in := input(data)
	defer in.Release()
	for _, v := range shaders.Variants[shaders.BenchReadVariant]() {
		kern, err := shaders.NewBenchRead(dev, v, shaders.BenchReadSpec{Local: local})
		if err != nil {
			t.Fatal(err)
		}
		run(func(rec *gpu.Recording) {
			kern.Dispatch(rec, shaders.BenchReadArgs{W: in.All(), Y: out.All()}, shaders.BenchReadPush{Steps: steps}, groups, 1, 1)
		})
		kern.Release()
		for i, got := range gpu.Uint32s(out.Bytes()) {
			if got != want[i] {
				t.Fatalf("bench_read %s: invocation %d: want the sum %d, got %d", v, i, want[i], got)
			}
		}
	}

	ones := input(gpu.BytesOf([]float32{1, 1})) // a chain counts its multiply-adds
	defer ones.Release()
	for _, v := range shaders.Variants[shaders.BenchFmaVariant]() {
		kern, err := shaders.NewBenchFma(dev, v, shaders.BenchFmaSpec{Local: local})
		if err != nil {
			t.Fatal(err)
		}
		run(func(rec *gpu.Recording) {
			kern.Dispatch(rec, shaders.BenchFmaArgs{X: ones.All(), Y: out.All()}, shaders.BenchFmaPush{Steps: steps}, groups, 1, 1)
		})
		kern.Release()
		const chains = 12
		for i, got := range gpu.Float32s(out.Bytes()) {
			want := float32(chains*(i%int(local)+4*steps) + chains*(chains-1)/2)
			if got != want {
				t.Fatalf("bench_fma %s: invocation %d: want %v, got %v", v, i, want, got)
			}
		}
	}
}

// Limits are measured within a device's own limits, and leave nothing behind.
func TestWithinLimits(t *testing.T) {
	for name, override := range map[string]func(*gpu.Limits){
		"as it is": func(*gpu.Limits) {},
		"small": func(l *gpu.Limits) {
			l.MaxStorageBufferRange, l.MaxTexelBufferElements, l.MaxWorkgroupInvocations = 1<<20, 1<<14, 64
		},
	} {
		t.Run(name, func(t *testing.T) {
			dev := gputest.Device(t, gpu.DeviceOptions{LimitOverride: override})
			before, _ := dev.MemoryInUse()
			read, flops, err := Device(dev, 2<<20)
			if err != nil || read < 1e8 || flops < 1e8 {
				t.Errorf("%g bytes, %g operations per second, %v", read, flops, err)
			}
			if after, _ := dev.MemoryInUse(); after != before {
				t.Errorf("%d bytes in use before, %d after", before, after)
			}
		})
	}
}
