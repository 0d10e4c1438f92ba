package shaders

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// rowDot returns the generator's test shader as zbind.go would hold it: y[row] = scale * dot(w[row], x) + epsilon.
func rowDot(t *testing.T, variant string) *module {
	t.Helper()
	code, err := os.ReadFile("internal/gen/testdata/tree/shaders/spv/row_dot." + variant + ".spv")
	if err != nil {
		t.Fatal(err)
	}
	w := gpu.Binding{Name: "w", Kind: gpu.StorageBuffer, Access: gpu.Read}
	if strings.HasSuffix(variant, "_tx") {
		w.Kind, w.Format = gpu.UniformTexel, gpu.R32UI
	}
	return &module{
		name: "row_dot." + variant, variant: variant, spirv: code,
		bindings:  []gpu.Binding{w, {Name: "x", Access: gpu.Read}, {Name: "y", Access: gpu.ReadWrite}, {Name: "bias", Access: gpu.Read}},
		pushBytes: 16,
	}
}

// TestKernel runs a shader whose result depends on every push and specialization constant.
func TestKernel(t *testing.T) {
	dev := gputest.Device(t)
	const rows, cols, scale, epsilon = 5, 24, 0.25, 3
	small := func(i int) float64 { return float64(i%17-8) / 8 } // exact in half precision
	x, f32, f16 := make([]byte, 4*cols), make([]byte, 4*rows*cols), make([]byte, 2*rows*cols)
	for i := range cols {
		binary.LittleEndian.PutUint32(x[4*i:], math.Float32bits(float32(small(3*i))))
	}
	for i := range rows * cols {
		binary.LittleEndian.PutUint32(f32[4*i:], math.Float32bits(float32(small(i))))
		binary.LittleEndian.PutUint16(f16[2*i:], half(small(i)))
	}
	buffer := func(name string, data []byte) *gpu.Buffer {
		b, err := dev.NewBuffer(name, len(data), gpu.Readback)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Release)
		copy(b.Bytes(), data)
		return b
	}
	bx, by := buffer("x", x), buffer("y", make([]byte, 4*rows))
	weights := map[string]*gpu.Buffer{"f32": buffer("f32", f32), "f16": buffer("f16", f16)}
	for _, variant := range []string{"f32", "f16", "f16_tx"} {
		w := weights[strings.TrimSuffix(variant, "_tx")]
		clear(by.Bytes())
		shift := int32(-1) // undone by first_row
		spec := []uint32{64, bit(false), toBits(epsilon), uint32(shift)}
		k, err := newKernel(dev, rowDot(t, variant), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		rec := dev.NewRecording()
		push := struct {
			Rows, Cols uint32
			Scale      float32
			FirstRow   int32
		}{rows, cols, scale, 1}
		args := [...]gpu.Range{w.All(), bx.All(), by.All(), bx.All()}
		rec.Dispatch(k.compiled, args[:], bytesOf(&push), rows, 1, 1)
		run(t, rec)
		k.Release()
		for r := range rows {
			want := float64(epsilon)
			for i := range cols {
				want += scale * small(r*cols+i) * small(3*i)
			}
			got := float64(math.Float32frombits(binary.LittleEndian.Uint32(by.Bytes()[4*r:])))
			if !(math.Abs(got-want) <= 1e-5) {
				t.Errorf("%s: row %d: want %v, got %v", variant, r, want, got)
			}
		}
	}
}

func run(t *testing.T, rec *gpu.Recording) {
	t.Helper()
	commands, err := rec.End()
	if err != nil {
		t.Fatal(err)
	}
	defer commands.Release()
	if err := commands.Run(); err != nil {
		t.Fatal(err)
	}
}

// TestCompile compiles every variant that the device can run.
func TestCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("engine/vulkan compiles nearly all of them too")
	}
	dev := gputest.Device(t)
	for _, table := range modules {
		for i := range table {
			m := &table[i]
			r, err := spirv.Parse(m.spirv)
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			var spec []uint32 // the defaults, as far as the optimiser left them
			for _, c := range r.Spec {
				spec = append(append(spec, make([]uint32, c.ID-len(spec))...), c.Default)
			}
			if strings.HasPrefix(m.name, "matmul_coop.") { // the default shape is not every device's
				if !dev.Info().Features.CoopMatrix {
					if _, err := newKernel(dev, m, spec, nil); !errors.Is(err, gpu.ErrUnsupported) || !strings.Contains(err.Error(), m.name) || !strings.Contains(err.Error(), "the device lacks it") {
						t.Errorf("%s: want an error that names what the device lacks, got %v", m.name, err)
					}
					continue
				}
				s := dev.Info().Matrices[0]
				spec = MatmulCoopSpec{Local: 4 * uint32(dev.Info().Subgroup.Size), Rows: uint32(s.M), Tokens: uint32(s.N), Deep: uint32(s.K), Side: uint32(max(s.M, s.N)), Band: 1}.values()
			}
			k, err := newKernel(dev, m, spec, nil)
			if err != nil {
				t.Error(err)
				continue
			}
			k.Release()
		}
	}
}

// half returns the half-precision form of a multiple of 1/8 from -1 to 1.
func half(f float64) uint16 {
	if f == 0 {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(f))
	h := uint16(exponent+14)<<10 | uint16((2*fraction-1)*1024)
	if f < 0 {
		h |= 0x8000
	}
	return h
}

// TestKernelOptions wants options to reach the device, and refusals to name the shader.
func TestKernelOptions(t *testing.T) {
	dev := gputest.Device(t)
	spec := []uint32{64, 0, 0, 0}
	for _, n := range []int{dev.Info().Subgroup.Min, dev.Info().Subgroup.Max} {
		if !dev.Info().AllowsSubgroup(n) {
			continue
		}
		k, err := newKernel(dev, rowDot(t, "f32"), spec, []Option{SubgroupSize(n)})
		if err != nil {
			t.Fatal(err)
		}
		k.Release()
	}
	m := rowDot(t, "f32")
	if _, err := newKernel(dev, m, spec, []Option{SubgroupSize(3)}); err == nil || !strings.Contains(err.Error(), "row_dot.f32") {
		t.Errorf("subgroups of 3: want an error that names the shader, got %v", err)
	}
	if f := dev.Info().Features.FullSubgroups; f {
		if _, err := newKernel(dev, m, []uint32{1, 0, 0, 0}, []Option{FullSubgroups()}); dev.Info().Subgroup.Size > 1 && err == nil {
			t.Error("full subgroups in a workgroup of 1: want an error")
		}
	}
	m.spirv = m.spirv[:len(m.spirv)-2]
	if _, err := newKernel(dev, m, spec, nil); err == nil || !strings.Contains(err.Error(), `"row_dot.f32": spirv: length: `) {
		t.Errorf("a damaged module: want an error that names the shader, got %v", err)
	}
}

func TestBytesOf(t *testing.T) {
	push := struct {
		A uint32
		B float32
		C int32
	}{0x01020304, 1, -1}
	want := []byte{4, 3, 2, 1, 0, 0, 0x80, 0x3f, 255, 255, 255, 255}
	if got := bytesOf(&push); !slices.Equal(got, want) {
		t.Errorf("want % x, got % x", want, got)
	}
	if got := bytesOf(&struct{}{}); len(got) != 0 {
		t.Errorf("want no bytes, got % x", got)
	}
}
