package vulkan

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// kernelShape chooses the constants and forms of kernels by what the device is.
type kernelShape struct{ profile.Profile }

func shapeFor(info gpu.Info) kernelShape { return kernelShape{profile.Of(info)} }

// Kernels makes a device's kernels when they are first needed. Executors of one device share them.
type Kernels struct {
	dev   *gpu.Device
	shape kernelShape
	loads profile.Loads
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
	if n := profile.Subgroup(k.dev.Info()); k.dev.Info().AllowsSubgroup(n) {
		return []shaders.Option{shaders.SubgroupSize(n)}
	}
	return nil
}

func (k *Kernels) embed(t tensor.Type, texel bool) (*shaders.Embed, error) {
	v, err := variant(t, texel, shaders.Variants[shaders.EmbedVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, v, func() (*shaders.Embed, error) {
		return shaders.NewEmbed(k.dev, v, shaders.EmbedSpec{Local: k.shape.Local.Norm, Single: k.shape.Local.Single}, k.full()...)
	})
}

func (k *Kernels) layerNorm(texel bool) (*shaders.LayerNorm, error) {
	v := form(texel, shaders.LayerNormBuf, shaders.LayerNormTx)
	return kernel(k, v, func() (*shaders.LayerNorm, error) {
		return shaders.NewLayerNorm(k.dev, v,
			shaders.LayerNormSpec{Local: k.shape.Local.Norm, Single: k.shape.Local.Single}, k.full()...)
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
		return shaders.NewShiftMix(k.dev, v, shaders.ShiftMixSpec{Local: k.shape.Local.Norm, Single: k.shape.Local.Single,
			InPlace: flag(inPlace, 1), Whole: flag(whole, 1)}, k.full()...)
	})
}

func (k *Kernels) shiftCommit() (*shaders.ShiftCommit, error) {
	return kernel(k, shaders.ShiftCommitOnly, func() (*shaders.ShiftCommit, error) {
		return shaders.NewShiftCommit(k.dev, shaders.ShiftCommitOnly, shaders.ShiftCommitSpec{Local: k.shape.Local.Plain})
	})
}

func (k *Kernels) wkv4(texel bool) (*shaders.Wkv4, error) {
	v := form(texel, shaders.Wkv4Buf, shaders.Wkv4Tx)
	return kernel(k, v, func() (*shaders.Wkv4, error) {
		return shaders.NewWkv4(k.dev, v, shaders.Wkv4Spec{Local: k.shape.Local.Plain})
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
	v := form(k.shape.recursTexels(texel), shaders.Wkv6Buf, shaders.Wkv6Tx)
	spec := shaders.Wkv6Spec{N: uint32(n), Split: k.shape.split6(n), Direct: flag(k.shape.direct6(n), 1)}
	return kernel(k, specKey[shaders.Wkv6Variant, shaders.Wkv6Spec]{v, spec}, func() (*shaders.Wkv6, error) {
		return shaders.NewWkv6(k.dev, v, spec)
	})
}

func (k *Kernels) wkv6Norm(texel bool) (*shaders.Wkv6Norm, error) {
	v := form(texel, shaders.Wkv6NormBuf, shaders.Wkv6NormTx)
	return kernel(k, v, func() (*shaders.Wkv6Norm, error) {
		return shaders.NewWkv6Norm(k.dev, v, shaders.Wkv6NormSpec{Local: k.shape.Local.Plain}, k.full()...)
	})
}

func (k *Kernels) deepEmbed(t tensor.Type, texel bool) (*shaders.DeepEmbed, error) {
	v, err := variant(t, texel, shaders.Variants[shaders.DeepEmbedVariant]())
	if err != nil {
		return nil, err
	}
	return kernel(k, v, func() (*shaders.DeepEmbed, error) {
		return shaders.NewDeepEmbed(k.dev, v, shaders.DeepEmbedSpec{Local: k.shape.Local.Plain})
	})
}

func (k *Kernels) wkv7(n int, texel bool) (*shaders.Wkv7, error) {
	v := form(k.shape.recursTexels(texel), shaders.Wkv7Buf, shaders.Wkv7Tx)
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
func (s *kernelShape) direct6(n int) bool { return s.Shared && n <= 128 }

// sharedRows returns how many rows of a head of size n a subgroup of wkv7_shared keeps: a divisor of n, and as many as leave
// 64 vec4 to a lane.
func (s *kernelShape) sharedRows(n uint32) uint32 {
	rows := uint32(16)
	for columns := (n/4 + s.Lanes - 1) / s.Lanes; n%rows != 0 || rows*columns > 64; {
		rows /= 2
	}
	return rows
}

func (k *Kernels) wkv7Shared(n int, texel bool) (*shaders.Wkv7Shared, error) {
	v, s := form(texel, shaders.Wkv7SharedBuf, shaders.Wkv7SharedTx), &k.shape
	return kernel(k, headKey[shaders.Wkv7SharedVariant]{v: v, n: n}, func() (*shaders.Wkv7Shared, error) {
		return shaders.NewWkv7Shared(k.dev, v,
			shaders.Wkv7SharedSpec{Local: s.Lanes, N: uint32(n), Rows: s.sharedRows(uint32(n))}, k.full()...)
	})
}

// recursTexels tells whether the recurrences read texels where other kernels do: few registers hold no more than a part of a
// head's state.
func (s *kernelShape) recursTexels(texel bool) bool { return texel && !s.FewRegisters }

// takesStep tells whether one token of heads of a size is one dispatch of wkv7_step. Few registers do not hold five vectors
// of a large head, of which a lane has more than four elements each.
func (s *kernelShape) takesStep(n int) bool {
	return s.Local.Step > 0 && !s.takesQuads(n) && (!s.FewRegisters || n <= 64 || n/4 <= int(s.Lanes))
}

// stepAcross returns how many lanes of a subgroup share a row of a head's state in wkv7_step: no more than a power of two that
// holds its vec4, so that others take other rows meanwhile. Apple's GPUs sum over a whole subgroup by one instruction, and would
// need more of them for half of one.
func (s *kernelShape) stepAcross(n uint32) uint32 {
	across := uint32(1)
	for across < n/4 {
		across *= 2
	}
	if apple := s.FewRegisters && s.Lanes == 32; apple || s.Lanes%across != 0 {
		return s.Lanes
	}
	return across
}

// stepRows returns how many rows of a head's state such lanes load at once: a power of two, no more than they have of them, or
// than they are, and as many as leave 8 vec4 to a lane.
func (s *kernelShape) stepRows(n uint32) uint32 {
	across := s.stepAcross(n)
	groups, sides, columns := s.Local.Step/s.Lanes, s.Lanes/across, (n/4+across-1)/across
	rows, most := uint32(1), min(((n+groups-1)/groups+sides-1)/sides, across, 8/columns)
	for 2*rows <= most {
		rows *= 2
	}
	return rows
}

func (k *Kernels) wkv7Step(n int, texel bool) (*shaders.Wkv7Step, error) {
	v, s := form(k.shape.recursTexels(texel), shaders.Wkv7StepBuf, shaders.Wkv7StepTx), &k.shape
	return kernel(k, headKey[shaders.Wkv7StepVariant]{v, n, s.Local.Step}, func() (*shaders.Wkv7Step, error) {
		return shaders.NewWkv7Step(k.dev, v, shaders.Wkv7StepSpec{Local: s.Local.Step, Single: flag(s.Local.Step == s.Lanes, 1),
			N: uint32(n), Lanes: s.Lanes, Across: s.stepAcross(uint32(n)), Rows: s.stepRows(uint32(n))}, k.full()...)
	})
}

func (k *Kernels) wkv7Norm(texel bool) (*shaders.Wkv7Norm, error) {
	v := form(texel, shaders.Wkv7NormBuf, shaders.Wkv7NormTx)
	return kernel(k, v, func() (*shaders.Wkv7Norm, error) {
		return shaders.NewWkv7Norm(k.dev, v, shaders.Wkv7NormSpec{Local: k.shape.Local.Plain}, k.full()...)
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
