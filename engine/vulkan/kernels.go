package vulkan

import (
	"fmt"
	"math/bits"
	"runtime"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// kernelShape holds the specialization constants, as the device's properties give them.
type kernelShape struct {
	cpu        bool              // lanes are emulated by one processor core's vectors
	normLocal  uint32            // workgroup of the norms
	normSingle uint32            // 1: that is one subgroup
	plainLocal uint32            // workgroup of kernels whose invocations or subgroups do not meet
	subgroups  uint32            // the fewest that such a workgroup has
	regLocal   uint32            // workgroup of matmul_reg and matmul_bcast
	mostGroups int               // of a dispatch, in x
	lanes      uint32            // of a subgroup
	shuffle    bool              // they can read one another's registers, as matmul_bcast needs
	band       int               // rows of weights whose words lie side by side (shaders/lib/blocks.glsl), at least 1
	narrow     bool              // matmul_narrow is the usual form of a product
	narrowMany uint32            // subgroups of its workgroup
	texelBytes int               // that the kernels for narrow devices bind at most as one texel buffer
	cores      int               // of the processor, if the device is one
	shared     bool              // no shared memory in recurrences: wkv7_shared instead of wkv7, and wkv6 loads directly
	quads      bool              // matmul_hold, wkv6_narrow and wkv7_narrow suit the device
	stepLocal  uint32            // workgroup of wkv7_step; 0 where the device does not suit it
	matrices   []gpu.MatrixShape // that matmul_coop may use

	fewRegisters bool // see fewRegisters
}

// stepBuffers is how many buffers wkv7_step binds. More than the base path asks for, so devices may lack one.
const stepBuffers = 11

// shapeFor derives the constants. Where lanes are emulated by one processor core's vectors, a barrier or shared memory
// costs more than the work between, so there workgroups are single subgroups.
func shapeFor(info gpu.Info) kernelShape {
	sub := uint32(subgroupFor(info))
	fit := func(n uint32) uint32 { return min(n, uint32(mostLanes(info))) }
	s := kernelShape{cpu: info.Type == gpu.CPU, normLocal: fit(256), plainLocal: max(fit(64), sub), regLocal: min(sub, 16),
		mostGroups: info.Limits.MaxWorkgroupCount[0], lanes: sub, band: 1,
		narrow: isNarrow(info), quads: isNarrow(info) && runsQuads(info), texelBytes: texelBytes(info.Limits), cores: runtime.NumCPU(),
		narrowMany: max(min(narrowMany, fit(1<<31)/sub), 1),
		shuffle:    info.Subgroup.HasOp("shuffle"), matrices: matricesFor(info)}
	if s.cpu {
		s.shared, s.band = true, int(s.regLocal)
		s.normLocal, s.normSingle = sub, 1
	}
	if sized := info.Features.FullSubgroups && info.FixesSubgroup(int(sub)); (s.cpu || sized) && info.Limits.MaxStorageBuffers >= stepBuffers {
		s.stepLocal = max(s.normLocal/sub, 1) * sub
	}
	s.subgroups = max(s.plainLocal/sub, 1)
	s.fewRegisters = fewRegisters(info)
	return s
}

// fewRegisters tells whether a lane has about 128 registers, where others have 256. Vulkan does not say it, but devices that
// can run subgroups of 16 or fewer, as Intel's, are of this kind, and so are those of Apple: behind a layer over Metal, or
// integrated with subgroups of 32 and no other size. Qualcomm's run subgroups of 128 with the registers that others have for 64.
func fewRegisters(info gpu.Info) bool {
	s := info.Subgroup
	return info.Type != gpu.CPU && (s.Min > 0 && s.Min <= 16 || s.Size > 64 || info.Features.Portability || info.Type == gpu.Integrated && s.Min == 32 && s.Max == 32)
}

// subgroupFor returns the subgroup size that kernels are made for, and are made to run with where the device lets them
// choose. Of a range that holds 16, that is the way between: the device's own choice may be its widest, which spills registers.
func subgroupFor(info gpu.Info) int {
	if info.AllowsSubgroup(16) {
		return 16
	}
	return max(info.Subgroup.Size, 1)
}

// mostLanes returns the size of the largest workgroup: where kernels require a size of their subgroups, there may be few of
// them in one.
func mostLanes(info gpu.Info) int {
	l, sub := info.Limits, subgroupFor(info)
	if l.MaxWorkgroupSubgroups > 0 && info.AllowsSubgroup(sub) {
		return min(l.MaxWorkgroupInvocations, l.MaxWorkgroupSubgroups*sub)
	}
	return l.MaxWorkgroupInvocations
}

// Kernels makes a device's kernels when they are first needed. Executors of one device share them.
type Kernels struct {
	dev   *gpu.Device
	shape kernelShape
	loads Loads
	made  map[any]made
}

// NewKernels returns the kernels of dev, which must outlive them.
func NewKernels(dev *gpu.Device) *Kernels { return &Kernels{dev: dev, shape: shapeFor(dev.Info())} }

// made is a kernel of any shader.
type made interface {
	Failed() bool
	Release()
}

// kernel returns the kernel under a key, made by start if it is the first time, or failed before. The driver may not have
// compiled it yet: recordings wait for that.
func kernel[K made](k *Kernels, key any, start func() (K, error)) (K, error) {
	if have, ok := k.made[key]; ok {
		if !have.Failed() {
			return have.(K), nil
		}
		have.Release()
		delete(k.made, key)
	}
	started, err := start()
	if err != nil {
		return started, err
	}
	if k.made == nil {
		k.made = map[any]made{}
	}
	k.made[key] = started
	return started, nil
}

// Release frees the kernels, after the executors that use them are closed.
func (k *Kernels) Release() {
	for _, m := range k.made {
		m.Release()
	}
	k.made = nil
}

// full asks for full subgroups of the size that the constants are made for, as far as a device can promise that.
func (k *Kernels) full() (list []shaders.Option) {
	info := k.dev.Info()
	if info.Features.FullSubgroups {
		list = append(list, shaders.FullSubgroups())
	}
	return append(list, k.sized()...)
}

// sized asks for subgroups of the size that the constants are made for, where the device lets a kernel choose.
func (k *Kernels) sized() []shaders.Option {
	if n := subgroupFor(k.dev.Info()); k.dev.Info().AllowsSubgroup(n) {
		return []shaders.Option{shaders.SubgroupSize(n)}
	}
	return nil
}

func (k *Kernels) embed(t tensor.Type, texel bool) (*shaders.Embed, error) {
	v, err := variant(t, texel, shaders.EmbedVariants)
	if err != nil {
		return nil, err
	}
	return kernel(k, v, func() (*shaders.Embed, error) {
		return shaders.NewEmbed(k.dev, v, shaders.EmbedSpec{Local: k.shape.normLocal, Single: k.shape.normSingle}, k.full()...)
	})
}

func (k *Kernels) layerNorm(texel bool) (*shaders.LayerNorm, error) {
	v := form(texel, shaders.LayerNormBuf, shaders.LayerNormTx)
	return kernel(k, v, func() (*shaders.LayerNorm, error) {
		return shaders.NewLayerNorm(k.dev, v,
			shaders.LayerNormSpec{Local: k.shape.normLocal, Single: k.shape.normSingle}, k.full()...)
	})
}

// shiftKey is the key of a form of shift_mix.
type shiftKey struct {
	v              shaders.ShiftMixVariant
	inPlace, whole bool
}

func (k *Kernels) shiftMix(texel, inPlace, whole bool) (*shaders.ShiftMix, error) {
	v := form(texel, shaders.ShiftMixBuf, shaders.ShiftMixTx)
	return kernel(k, shiftKey{v, inPlace, whole}, func() (*shaders.ShiftMix, error) {
		return shaders.NewShiftMix(k.dev, v, shaders.ShiftMixSpec{Local: k.shape.normLocal, Single: k.shape.normSingle,
			InPlace: flag(inPlace, 1), Whole: flag(whole, 1)}, k.full()...)
	})
}

func (k *Kernels) shiftCommit() (*shaders.ShiftCommit, error) {
	return kernel(k, shaders.ShiftCommitOnly, func() (*shaders.ShiftCommit, error) {
		return shaders.NewShiftCommit(k.dev, shaders.ShiftCommitOnly, shaders.ShiftCommitSpec{Local: k.shape.plainLocal})
	})
}

func (k *Kernels) wkv4(texel bool) (*shaders.Wkv4, error) {
	v := form(texel, shaders.Wkv4Buf, shaders.Wkv4Tx)
	return kernel(k, v, func() (*shaders.Wkv4, error) {
		return shaders.NewWkv4(k.dev, v, shaders.Wkv4Spec{Local: k.shape.plainLocal})
	})
}

// headKey is the key of a kernel that is made for a head size, and for workgroups of a size where that varies.
type headKey[V any] struct {
	v     V
	n     int
	local uint32
}

// specKey is the key of a kernel with the constants that it is made for.
type specKey[V, S any] struct {
	v    V
	spec S
}

func (k *Kernels) wkv6(n int, texel bool) (*shaders.Wkv6, error) {
	v := form(texel, shaders.Wkv6Buf, shaders.Wkv6Tx)
	spec := shaders.Wkv6Spec{N: uint32(n), Split: k.shape.split6(n), Direct: flag(k.shape.direct6(n), 1)}
	return kernel(k, specKey[shaders.Wkv6Variant, shaders.Wkv6Spec]{v, spec}, func() (*shaders.Wkv6, error) {
		return shaders.NewWkv6(k.dev, v, spec)
	})
}

func (k *Kernels) wkv6Norm(texel bool) (*shaders.Wkv6Norm, error) {
	v := form(texel, shaders.Wkv6NormBuf, shaders.Wkv6NormTx)
	return kernel(k, v, func() (*shaders.Wkv6Norm, error) {
		return shaders.NewWkv6Norm(k.dev, v, shaders.Wkv6NormSpec{Local: k.shape.plainLocal}, k.full()...)
	})
}

func (k *Kernels) deepEmbed(t tensor.Type, texel bool) (*shaders.DeepEmbed, error) {
	v, err := variant(t, texel, shaders.DeepEmbedVariants)
	if err != nil {
		return nil, err
	}
	return kernel(k, v, func() (*shaders.DeepEmbed, error) {
		return shaders.NewDeepEmbed(k.dev, v, shaders.DeepEmbedSpec{Local: k.shape.plainLocal})
	})
}

func (k *Kernels) wkv7(n int, texel bool) (*shaders.Wkv7, error) {
	v := form(texel, shaders.Wkv7Buf, shaders.Wkv7Tx)
	return kernel(k, headKey[shaders.Wkv7Variant]{v: v, n: n}, func() (*shaders.Wkv7, error) {
		return shaders.NewWkv7(k.dev, v, shaders.Wkv7Spec{N: uint32(n), Split: split7(n)})
	})
}

// headSplit returns how many invocations of wkv6 and wkv7 share a row of a head's state, so that each keeps so many elements
// at most, or up to twice as many where more invocations would not divide n, a multiple of 4.
func headSplit(n, most int) uint32 {
	split := uint32(1) << bits.Len(uint((n-1)/most))
	for uint32(n)%split != 0 {
		split /= 2
	}
	return split
}

// Devices with few registers have no more for wkv7, and fewer for wkv6, whose elements lie far apart in memory: their
// addresses need some too.
func split7(n int) uint32 { return headSplit(n, 64) }

func (s *kernelShape) split6(n int) uint32 {
	if s.direct6(n) {
		return 1
	}
	return headSplit(n, 32)
}

// direct6 tells whether each invocation of wkv6 has a row, of 32 vec4 at most, and loads all it needs, as suits emulated
// lanes: of longer rows the code is so large that a processor's compiler takes minutes.
func (s *kernelShape) direct6(n int) bool { return s.shared && n <= 128 }

// sharedRows returns how many rows of a head of size n a subgroup of wkv7_shared keeps: a divisor of n, and as many as leave
// 64 vec4 to a lane.
func (s *kernelShape) sharedRows(n uint32) uint32 {
	rows := uint32(16)
	for columns := (n/4 + s.lanes - 1) / s.lanes; n%rows != 0 || rows*columns > 64; {
		rows /= 2
	}
	return rows
}

func (k *Kernels) wkv7Shared(n int, texel bool) (*shaders.Wkv7Shared, error) {
	v, s := form(texel, shaders.Wkv7SharedBuf, shaders.Wkv7SharedTx), &k.shape
	return kernel(k, headKey[shaders.Wkv7SharedVariant]{v: v, n: n}, func() (*shaders.Wkv7Shared, error) {
		return shaders.NewWkv7Shared(k.dev, v,
			shaders.Wkv7SharedSpec{Local: s.lanes, N: uint32(n), Rows: s.sharedRows(uint32(n))}, k.full()...)
	})
}

// stepRows returns how many rows of a head's state a subgroup of wkv7_step loads at once: a power of two, no more than it has
// of them or of lanes, and as many as leave 8 vec4 to a lane, or of few registers 14 with the 5 vectors that it keeps besides.
func (s *kernelShape) stepRows(n uint32) uint32 {
	groups, columns := s.stepLocal/s.lanes, (n/4+s.lanes-1)/s.lanes
	rows, most := uint32(1), min((n+groups-1)/groups, s.lanes, 8/columns)
	if s.fewRegisters {
		most = min(most, max(14/columns, 5)-5)
	}
	for 2*rows <= most {
		rows *= 2
	}
	return rows
}

func (k *Kernels) wkv7Step(n int, texel bool) (*shaders.Wkv7Step, error) {
	v, s := form(texel, shaders.Wkv7StepBuf, shaders.Wkv7StepTx), &k.shape
	return kernel(k, headKey[shaders.Wkv7StepVariant]{v, n, s.stepLocal}, func() (*shaders.Wkv7Step, error) {
		return shaders.NewWkv7Step(k.dev, v, shaders.Wkv7StepSpec{Local: s.stepLocal, Single: flag(s.stepLocal == s.lanes, 1),
			N: uint32(n), Lanes: s.lanes, Rows: s.stepRows(uint32(n))}, k.full()...)
	})
}

func (k *Kernels) wkv7Norm(texel bool) (*shaders.Wkv7Norm, error) {
	v := form(texel, shaders.Wkv7NormBuf, shaders.Wkv7NormTx)
	return kernel(k, v, func() (*shaders.Wkv7Norm, error) {
		return shaders.NewWkv7Norm(k.dev, v, shaders.Wkv7NormSpec{Local: k.shape.plainLocal}, k.full()...)
	})
}

// form returns one of the two forms of a kernel.
func form[V any](texel bool, buf, tx V) V {
	if texel {
		return tx
	}
	return buf
}

// variant returns the form of a kernel for a storage type: the variant of the type's name.
func variant[V fmt.Stringer](t tensor.Type, texel bool, list []V) (v V, err error) {
	name := strings.ToLower(t.String()) + form(texel, "", "_tx")
	for _, v := range list {
		if v.String() == name {
			return v, nil
		}
	}
	return v, gpu.Unsupportedf("vulkan: no kernel for weights of type %s", t)
}
