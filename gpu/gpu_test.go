package gpu_test

import (
	"embed"
	"encoding/binary"
	"math"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

//go:generate sh -c "for f in testdata/*.comp; do glslc --target-env=vulkan1.1 -O $f -o ${f%.comp}.spv; done"

//go:embed testdata/*.spv
var spv embed.FS

func code(t testing.TB, name string) []byte {
	t.Helper()
	b, err := spv.ReadFile("testdata/" + name + ".spv")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func kernel(t testing.TB, d *gpu.Device, desc gpu.KernelDesc) *gpu.Kernel {
	t.Helper()
	if desc.SPIRV == nil {
		desc.SPIRV = code(t, desc.Name)
	}
	k, err := d.NewKernel(desc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Release)
	return k
}

func buffer(t testing.TB, d *gpu.Device, name string, size int, mem gpu.Memory) *gpu.Buffer {
	t.Helper()
	b, err := d.NewBuffer(name, size, mem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Release)
	return b
}

func end(t testing.TB, rec *gpu.Recording) *gpu.Commands {
	t.Helper()
	c, err := rec.End()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}

func run(t testing.TB, c *gpu.Commands) {
	t.Helper()
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
}

func upload(t testing.TB, d *gpu.Device, r gpu.Range, data []byte) {
	t.Helper()
	if err := d.Upload(r, data); err != nil {
		t.Fatal(err)
	}
}

func download(t testing.TB, d *gpu.Device, r gpu.Range) []byte {
	t.Helper()
	data := make([]byte, r.Size)
	if err := d.Download(data, r); err != nil {
		t.Fatal(err)
	}
	return data
}

func words(v ...uint32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func floats(v ...float32) (b []byte) {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

func float(b []byte, i int) float32 { return math.Float32frombits(word(b, i)) }

var saxpyBindings = []gpu.Binding{{Name: "x", Access: gpu.Read}, {Name: "y", Access: gpu.ReadWrite}}

func TestSaxpy(t *testing.T) {
	d := gputest.Device(t)
	const n = 1003
	k := kernel(t, d, gpu.KernelDesc{Name: "saxpy", Bindings: saxpyBindings, PushBytes: 8, Spec: []uint32{64}})
	if k.LocalSize() != [3]int{64, 1, 1} {
		t.Errorf("local size %v", k.LocalSize())
	}
	x, y := buffer(t, d, "x", 4*n, gpu.DeviceLocal), buffer(t, d, "y", 4*n, gpu.DeviceLocal)
	xs, ys := make([]float32, n), make([]float32, n)
	for i := range xs {
		xs[i], ys[i] = float32(i), float32(i%7)
	}
	upload(t, d, x.All(), floats(xs...))
	upload(t, d, y.All(), floats(ys...))
	rec := d.NewRecording()
	rec.Dispatch(k, []gpu.Range{x.All(), y.All()}, append(words(n), floats(3)...), (n+63)/64, 1, 1)
	run(t, end(t, rec))
	out := download(t, d, y.All())
	for i := range xs {
		if got, want := float(out, i), 3*xs[i]+ys[i]; got != want {
			t.Fatalf("y[%d] = %g, want %g", i, got, want)
		}
	}
}
