package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// BindingKind says how a kernel sees a buffer.
type BindingKind uint8

// Kinds of bindings.
const (
	StorageBuffer BindingKind = iota // buffer block
	UniformTexel                     // textureBuffer, utextureBuffer: read through the texture path
)

func (k BindingKind) String() string { return [...]string{"storage buffer", "uniform texel buffer"}[k] }

// Access says what a kernel does with a binding; barriers follow from it.
type Access uint8

// Accesses.
const (
	Read      Access = 1
	Write     Access = 2
	ReadWrite Access = 3
)

// Format is the element format of a texel binding.
type Format uint8

// Formats that every Vulkan device can read from texel buffers.
const (
	NoFormat Format = iota
	R32F
	RGBA32F
	R32UI
	RG32UI
	RGBA32UI
)

var formats = [...]struct {
	name  string
	vk    uint32 // VkFormat
	bytes int
}{{"none", 0, 1}, {"r32f", 100, 4}, {"rgba32f", 109, 16}, {"r32ui", 98, 4}, {"rg32ui", 101, 8}, {"rgba32ui", 107, 16}}

func (f Format) String() string { return formats[f].name }

// Bytes returns the size of one texel.
func (f Format) Bytes() int { return formats[f].bytes }

func (f Format) vk() uint32 { return formats[f].vk }

// Binding is one buffer argument of a kernel; its place in KernelDesc.Bindings is its binding
// number in descriptor set 0.
type Binding struct {
	Name   string // appears in errors
	Kind   BindingKind
	Access Access
	Format Format // of a UniformTexel
}

// KernelDesc describes a kernel.
type KernelDesc struct {
	Name          string
	SPIRV         []byte // entry point "main"
	Bindings      []Binding
	PushBytes     int
	Spec          []uint32 // specialization constants 0..n-1, 4 bytes each
	SubgroupSize  int      // 0: the device's choice
	FullSubgroups bool     // no subgroup has idle lanes
}

// A Kernel is a compute pipeline. It may be used by any number of recordings at a time.
type Kernel struct {
	name     string
	dev      *Device
	pipeline C.uint64_t
	layout   layout
	bindings []Binding
	push     int
	spec     []uint32
	local    [3]int
	aliased  map[int]bool // bindings that may share memory with others

	made chan struct{} // closed when the driver has compiled it, or has failed
	err  error         // then

	refs     int // recordings that use it; guarded by dev.mu
	released bool
	used     bool // by a recording, once
}

// StartKernel makes a kernel. The error names the kernel, and the feature, limit or subgroup size that the kernel needs
// and the device lacks. StartKernel does not wait for the driver, which compiles as many kernels side by side as there
// are cores. A recording waits for its kernels at its end, and returns the driver's errors there.
func (d *Device) StartKernel(desc KernelDesc) (*Kernel, error) {
	k := &Kernel{name: desc.Name, dev: d, bindings: append([]Binding(nil), desc.Bindings...), push: desc.PushBytes, spec: append([]uint32(nil), desc.Spec...), made: make(chan struct{})}
	m, err := spirv.Parse(desc.SPIRV)
	if err == nil {
		k.local, k.aliased = m.LocalSizeWith(desc.Spec), map[int]bool{}
		for _, b := range m.Bindings {
			k.aliased[b.Number] = b.Aliased
		}
		if d.opts.Rewrite != nil {
			desc.SPIRV = d.opts.Rewrite(desc.SPIRV, k.local)
		}
		if err = d.admit(&desc, m, k.local); err != nil {
			err = unsupported{err}
		}
	}
	if err == nil {
		err = k.start(desc)
	}
	if err != nil {
		return nil, fmt.Errorf("vulkan: kernel %q: %w", desc.Name, err)
	}
	return k, nil
}

// start begins to compile the kernel. Statistics are told in the order in which kernels start.
func (k *Kernel) start(desc KernelDesc) error {
	d := k.dev
	types := make([]C.uint32_t, len(desc.Bindings))
	for i, b := range desc.Bindings {
		types[i] = map[BindingKind]C.uint32_t{StorageBuffer: 7, UniformTexel: 4}[b.Kind]
	}
	var err error
	if k.layout, err = d.layoutFor(types, desc.PushBytes); err != nil {
		return err
	}
	d.mu.Lock()
	d.kernels[k] = struct{}{}
	d.mu.Unlock()
	desc.Spec = k.spec
	work := func() {
		defer close(k.made)
		if err := k.compile(&desc); err != nil {
			k.err = fmt.Errorf("vulkan: kernel %q: %w", desc.Name, err)
		}
	}
	if d.opts.Statistics != nil {
		work()
		return nil
	}
	go func() {
		d.compilers <- struct{}{}
		defer func() { <-d.compilers }()
		work()
	}()
	return nil
}

// compile runs without d.mu.
func (k *Kernel) compile(desc *KernelDesc) error {
	d, full := k.dev, C.int(0)
	if desc.FullSubgroups {
		full = 1
	}
	began := time.Now()
	r := C.rg_pipeline(d.c, d.cache.handle, C.uint64_t(k.layout.pipeline), unsafe.Pointer(unsafe.SliceData(desc.SPIRV)), C.size_t(len(desc.SPIRV)),
		(*C.uint32_t)(unsafe.SliceData(desc.Spec)), C.uint32_t(len(desc.Spec)), C.uint32_t(desc.SubgroupSize), full, &k.pipeline)
	if r != 0 {
		return check(createPipelines, int32(r))
	}
	if d.opts.Statistics != nil {
		return k.tell(desc, time.Since(began))
	}
	return nil
}

// admit checks a kernel against the device.
func (d *Device) admit(desc *KernelDesc, m *spirv.Module, local [3]int) error {
	l := &d.info.Limits
	if err := d.admitCode(m); err != nil {
		return err
	}
	if desc.PushBytes < 0 || desc.PushBytes%4 != 0 || desc.PushBytes > l.PushConstants {
		return fmt.Errorf("%d bytes of push constants, want a multiple of 4 up to the device's %d", desc.PushBytes, l.PushConstants)
	}
	if len(desc.Spec) > C.RG_MAX_SPEC {
		return fmt.Errorf("%d specialization constants, at most %d are supported", len(desc.Spec), C.RG_MAX_SPEC)
	}
	if err := d.admitBindings(desc, m); err != nil {
		return err
	}
	n := 1
	for i, x := range local {
		if x <= 0 || x > l.MaxWorkgroupSize[i] {
			return fmt.Errorf("workgroup of %v invocations, the device allows 1 to %v", local, l.MaxWorkgroupSize)
		}
		n *= x
	}
	if n > l.MaxWorkgroupInvocations {
		return fmt.Errorf("workgroup of %v = %d invocations, the device allows %d", local, n, l.MaxWorkgroupInvocations)
	}
	if shared := m.SharedBytes(desc.Spec); shared > l.SharedMemory {
		return fmt.Errorf("%d bytes of shared memory, the device has %d", shared, l.SharedMemory)
	}
	return d.admitSubgroup(desc, local, n)
}

func (d *Device) admitBindings(desc *KernelDesc, m *spirv.Module) error {
	if len(desc.Bindings) > C.RG_MAX_BINDINGS {
		return fmt.Errorf("%d bindings, at most %d are supported", len(desc.Bindings), C.RG_MAX_BINDINGS)
	}
	count := [2]int{}
	for i, b := range desc.Bindings {
		if b.Kind > UniformTexel || b.Access < Read || b.Access > ReadWrite || int(b.Format) >= len(formats) {
			return fmt.Errorf("binding %d %q: kind, access or format is not set", i, b.Name)
		}
		count[b.Kind]++
		if b.Kind == UniformTexel {
			if b.Access != Read {
				return fmt.Errorf("binding %d %q: a texel buffer can only be read", i, b.Name)
			}
			if b.Format == NoFormat || !d.texelFormat(b.Format) {
				return fmt.Errorf("binding %d %q: the device reads no texel buffers of format %s", i, b.Name, b.Format)
			}
		}
	}
	for _, b := range m.Bindings {
		if b.Number >= len(desc.Bindings) {
			return fmt.Errorf("the shader has a binding %d, only %d are declared", b.Number, len(desc.Bindings))
		}
		if have := &desc.Bindings[b.Number]; (have.Kind == UniformTexel) != (b.Kind == spirv.UniformTexel) {
			return fmt.Errorf("binding %d %q is declared a %s, the shader has a %s", b.Number, have.Name, have.Kind, b.Kind)
		}
	}
	for kind, limit := range [2]int{d.info.Limits.MaxStorageBuffers, d.info.Limits.MaxTexelBuffers} {
		if count[kind] > limit {
			return fmt.Errorf("%d bindings are a %s, the device allows %d", count[kind], BindingKind(kind), limit)
		}
	}
	return nil
}

func (d *Device) texelFormat(f Format) bool {
	var p vk.FormatProperties
	vk.GetPhysicalDeviceFormatProperties(vk.PhysicalDevice(d.phys.handle), vk.Format(f.vk()), &p)
	p.Deref()
	defer p.Free()
	return p.BufferFeatures&0x8 != 0 // uniform texel buffer
}

func (d *Device) admitSubgroup(desc *KernelDesc, local [3]int, invocations int) error {
	s, size := d.info.Subgroup, desc.SubgroupSize
	if size != 0 && !d.info.AllowsSubgroup(size) {
		return fmt.Errorf("subgroup size %d is required, the device allows %d to %d (size control: %v)", size, s.Min, s.Max, d.info.Features.SubgroupControl)
	}
	if limit := d.info.Limits.MaxWorkgroupSubgroups; size != 0 && limit > 0 && invocations > size*limit {
		return fmt.Errorf("workgroup of %v holds more than the device's %d subgroups of %d", local, limit, size)
	}
	if !desc.FullSubgroups {
		return nil
	}
	if !d.info.Features.FullSubgroups {
		return fmt.Errorf("full subgroups are required, the device cannot promise them")
	}
	if size == 0 {
		size = s.Max
	}
	if local[0]%size != 0 {
		return fmt.Errorf("full subgroups need a workgroup width that is a multiple of %d, it is %d", size, local[0])
	}
	return nil
}

// wait waits for the driver's compiler, and returns its error. If the device hangs, wait may never return.
func (k *Kernel) wait() error {
	select {
	case <-k.made:
		return k.err
	case <-k.dev.health.stopped:
		return k.dev.failure()
	}
}

// Name returns the name given to StartKernel.
func (k *Kernel) Name() string { return k.name }

// Failed reports whether the driver has failed to compile the kernel by now.
func (k *Kernel) Failed() bool {
	select {
	case <-k.made:
		return k.err != nil
	default:
		return false
	}
}

// LocalSize returns the workgroup size, with specialization applied.
func (k *Kernel) LocalSize() [3]int { return k.local }

// Release gives the kernel back. Commands that use it keep the pipeline alive.
func (k *Kernel) Release() {
	if k == nil {
		return
	}
	_ = k.wait()
	if k.dev.hung() {
		return
	}
	k.dev.mu.Lock()
	defer k.dev.mu.Unlock()
	if k.released {
		return
	}
	k.released = true
	if k.refs == 0 {
		k.destroy()
	}
}

func (k *Kernel) destroy() {
	k.released = true // also when Device.Close does it
	delete(k.dev.kernels, k)
	if !k.dev.hung() {
		C.rg_pipeline_destroy(k.dev.c, k.pipeline)
	}
}

func (k *Kernel) unretain() {
	k.refs--
	if k.refs == 0 && k.released {
		k.destroy()
	}
}
