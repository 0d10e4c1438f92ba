package gpu_test

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// The cost of an empty submission with its wait.
func BenchmarkRunEmpty(b *testing.B) {
	d := gputest.Device(b)
	c := end(b, d.NewRecording())
	b.ReportAllocs()
	for b.Loop() {
		run(b, c)
	}
}

// The cost of recording one dispatch with its barrier; every thousand go into one recording.
func BenchmarkDispatch(b *testing.B) {
	d := gputest.Device(b)
	k := kernel(b, d, gpu.KernelDesc{Name: "next", Bindings: nextBindings, PushBytes: 8})
	x, y := buffer(b, d, "x", 128, gpu.DeviceLocal), buffer(b, d, "y", 128, gpu.DeviceLocal)
	args := [2][]gpu.Range{{x.All(), y.All()}, {y.All(), x.All()}}
	push := words(32, 1)
	rec, n := d.NewRecording(), 0
	finish := func() {
		c, err := rec.End()
		if err != nil {
			b.Fatal(err)
		}
		c.Release()
	}
	b.ReportAllocs()
	for b.Loop() {
		if n++; n%1000 == 0 {
			finish()
			rec = d.NewRecording()
		}
		rec.Dispatch(k, args[n%2], push, 1, 1, 1)
	}
	finish()
}

// Staged upload against one straight to mapped memory.
func BenchmarkUpload(b *testing.B) {
	for _, staged := range []bool{false, true} {
		name := map[bool]string{false: "direct", true: "staged"}[staged]
		b.Run(name, func(b *testing.B) {
			d := gputest.Device(b, gpu.DeviceOptions{NoDirectAccess: staged})
			const size = 64 << 20
			buf, data := buffer(b, d, "b", size, gpu.DeviceLocal), make([]byte, size)
			b.SetBytes(size)
			for b.Loop() {
				upload(b, d, buf.All(), data)
			}
		})
	}
}
