package gpu

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// What a kernel reads or writes behind its range shows: reads give what lies there, or poison, and writes are told.
func TestPoison(t *testing.T) {
	const n, poison = 40, 256
	for _, c := range []struct {
		name     string
		poison   int
		bytes    int // of dst that the kernel is bound to
		src, out []byte
		told     bool
	}{
		{"none", 0, 4 * n, bytes.Repeat([]byte{0}, 4*n), bytes.Repeat([]byte{0}, 4*n), false},
		{"behind the source", poison, 4 * n, bytes.Repeat([]byte{0}, 4*n/2), slices.Concat(bytes.Repeat([]byte{0}, 4*n/2-4), bytes.Repeat([]byte{0xfb, 0xff, 0xff, 0xff}, n/2), make([]byte, 4)), false},
		{"behind the result", poison, 4 * n / 2, bytes.Repeat([]byte{0}, 4*n), bytes.Repeat([]byte{0}, 4*n/2), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, messages := open(t, false, DeviceOptions{NoPipelineCache: true, Poison: c.poison})
			k, err := d.NewKernel(KernelDesc{Name: "next", SPIRV: testCode(t, "next"), PushBytes: 8,
				Bindings: []Binding{{Name: "src", Access: Read}, {Name: "dst", Access: Write}}})
			if err != nil {
				t.Fatal(err)
			}
			src, err := d.NewBuffer("src", len(c.src), Upload)
			if err != nil {
				t.Fatal(err)
			}
			dst, err := d.NewBuffer("dst", c.bytes, Readback)
			if err != nil {
				t.Fatal(err)
			}
			copy(src.Bytes(), c.src)
			rec := d.NewRecording()
			rec.Dispatch(k, []Range{src.All(), dst.All()}, []byte{n, 0, 0, 0, 0, 0, 0, 0}, 2, 1, 1) // dst[i] = 5 * src[i+1 mod n]
			cmds, err := rec.End()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmds.Run(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(dst.Bytes(), c.out) {
				t.Errorf("results %v, want %v", dst.Bytes(), c.out)
			}
			cmds.Release()
			src.Release()
			dst.Release()
			k.Release()
			if got := strings.Join(messages(), "; "); (got != "") != c.told || c.told && got != `error: buffer "dst" of 80 bytes was written at byte 80` {
				t.Errorf("messages %q", got)
			}
		})
	}
}
