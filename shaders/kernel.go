package shaders

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// module is one compiled form of a shader with what the generator read from it.
type module struct {
	name      string // shader.variant, as its file in spv is called
	variant   string
	spirv     []byte
	bindings  []gpu.Binding // by binding number
	pushBytes int
}

// variant is a compiled form of a shader, by its place among them.
type variant interface {
	~uint8
	modules() []module
}

// Variants returns all forms of a shader.
func Variants[V variant]() []V {
	var first V
	list := make([]V, len(first.modules()))
	for i := range list {
		list[i] = V(i)
	}
	return list
}

// code returns the module as a device gets it: with cooperative matrices of the extension that devices have, and where
// the device can promise it, with subgroups that meet again where control flow does.
func (m *module) code(uniformFlow bool) ([]byte, error) {
	declared := spirv.Declared(m.spirv)
	matrices := slices.Contains(declared, spirv.CooperativeMatrixNV)
	uniformFlow = uniformFlow && slices.ContainsFunc(declared, spirv.Capability.IsSubgroup)
	if !matrices && !uniformFlow {
		return m.spirv, nil
	}
	c, err := spirv.Decode(m.spirv)
	if err != nil {
		return nil, fmt.Errorf("shader %s: %w", m.name, err)
	}
	if matrices {
		if err := c.KHRMatrices(); err != nil {
			return nil, fmt.Errorf("shader %s: %w", m.name, err)
		}
	}
	if uniformFlow {
		c.UniformFlow()
	}
	return c.Encode(), nil
}

// Sum returns a checksum of the compiled forms of all shaders whose names begin with one of some prefixes.
func Sum(prefixes ...string) string {
	h := sha256.New()
	for _, list := range modules {
		for i := range list {
			m := &list[i]
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m.name, p) }) {
				_, _ = fmt.Fprintf(h, "%s %d\n", m.name, len(m.spirv)) // never fails
				_, _ = h.Write(m.spirv)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Option changes how a New function compiles a kernel.
type Option func(*gpu.KernelDesc)

// SubgroupSize asks for subgroups of n invocations, which must lie within the sizes that the device offers.
func SubgroupSize(n int) Option { return func(d *gpu.KernelDesc) { d.SubgroupSize = n } }

// FullSubgroups asks that no subgroup has inactive invocations at the kernel's start; the workgroup's size in x must be
// a multiple of the subgroup size.
func FullSubgroups() Option { return func(d *gpu.KernelDesc) { d.FullSubgroups = true } }

// kernel is what all generated kernels have in common.
type kernel struct{ compiled *gpu.Kernel }

func newKernel(dev *gpu.Device, m *module, spec []uint32, options []Option) (kernel, error) {
	code, err := m.code(dev.Info().Features.UniformFlow)
	if err != nil {
		return kernel{}, err
	}
	desc := gpu.KernelDesc{Name: m.name, SPIRV: code, Bindings: m.bindings, PushBytes: m.pushBytes, Spec: spec}
	for _, o := range options {
		o(&desc)
	}
	k, err := dev.StartKernel(desc)
	return kernel{k}, err
}

// Failed reports whether the driver could not compile the kernel, which may be found out after it was made.
func (k kernel) Failed() bool { return k.compiled.Failed() }

// Release frees the kernel, which no recording in use may refer to.
func (k kernel) Release() { k.compiled.Release() }

// bytesOf returns the memory of a struct of 4-byte scalars, which has the layout of the shader's push constant block.
func bytesOf[T any](p *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)) }

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func toBits(f float32) uint32 { return math.Float32bits(f) }
