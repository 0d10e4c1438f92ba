package gpu

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"strings"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// physical is a device as listed.
type physical struct {
	handle             unsafe.Pointer
	info               Info
	caps               C.rg_caps
	memory             memoryTypes
	family             uint32
	api                uint32 // usable: the lesser of the device's and the instance's
	vendorID, deviceID uint32
	cacheUUID          [16]byte
}

// list fills in.devices with every device that has Vulkan 1.1 and a compute queue.
func (in *Instance) list() error {
	var n C.uint32_t
	if r := C.rg_physical_devices(in.gipa, in.inst, &n, nil); r != 0 {
		return fmt.Errorf("%w: %w", ErrNoDevice, check("vkEnumeratePhysicalDevices", int32(r)))
	}
	if n == 0 {
		return fmt.Errorf("%w: the loader found no driver", ErrNoDevice)
	}
	handles := make([]unsafe.Pointer, n)
	if r := C.rg_physical_devices(in.gipa, in.inst, &n, &handles[0]); r != 0 && r != resultIncomplete {
		return fmt.Errorf("%w: %w", ErrNoDevice, check("vkEnumeratePhysicalDevices", int32(r)))
	}
	var skipped []string
	for _, h := range handles[:n] {
		p, err := in.query(h)
		if err != nil {
			skipped = append(skipped, err.Error())
			in.message(Note, err.Error())
			continue
		}
		p.info.Index = len(in.devices)
		in.devices = append(in.devices, p)
	}
	if len(in.devices) == 0 {
		return fmt.Errorf("%w: %s", ErrNoDevice, strings.Join(skipped, "; "))
	}
	return nil
}

// Devices lists the devices; Info.Index is what Device takes. The memory budget is read anew.
func (in *Instance) Devices() []Info {
	infos := make([]Info, len(in.devices))
	for i, p := range in.devices {
		infos[i] = p.info
		if p.info.Features.MemoryBudget {
			infos[i].BudgetBytes = in.memory(&p).localBudget()
		}
	}
	return infos
}

func (in *Instance) query(handle unsafe.Pointer) (physical, error) {
	p := physical{handle: handle}
	var props vk.PhysicalDeviceProperties
	vk.GetPhysicalDeviceProperties(vk.PhysicalDevice(handle), &props)
	props.Deref()
	props.Limits.Deref()
	defer props.Free()
	name := vk.ToString(props.DeviceName[:])
	p.api = min(props.ApiVersion, in.api)
	p.vendorID, p.deviceID, p.cacheUUID = props.VendorID, props.DeviceID, props.PipelineCacheUUID
	if p.api < apiVersion(1, 1) {
		return p, fmt.Errorf("device %q skipped: Vulkan %s, 1.1 is needed", name, versionString(p.api))
	}
	var bits C.uint32_t
	p.family = uint32(C.rg_compute_family(in.gipa, in.inst, handle, in.surface, &bits))
	noPictures := ""
	if p.family == math.MaxUint32 && in.surface != 0 {
		noPictures = "none of its compute queues can"
		p.family = uint32(C.rg_compute_family(in.gipa, in.inst, handle, 0, &bits))
	}
	if p.family == math.MaxUint32 {
		return p, fmt.Errorf("device %q skipped: no compute queue", name)
	}
	if period := float64(props.Limits.TimestampPeriod); math.IsInf(period, 0) || math.IsNaN(period) { // JSON has no such number
		props.Limits.TimestampPeriod, bits = 0, 0
	}
	C.rg_caps_query(in.gipa, in.inst, handle, C.uint32_t(p.api), &p.caps)
	if p.caps.swapchain == 0 && in.surface != 0 {
		noPictures = "it lacks VK_KHR_swapchain"
	}
	p.memory = in.memory(&p)
	p.info = Info{
		Name: name, Type: deviceType(props.DeviceType), Vendor: vendorName(props.VendorID), API: versionString(props.ApiVersion),
		Driver: driverName(&p.caps, props.VendorID, props.DriverVersion), DriverID: int(p.caps.driver_id), MemoryBytes: p.memory.localSize(),
		Subgroup: subgroup(&p.caps), Features: features(&p.caps, uint32(bits)), Limits: limits(&p.caps, props.Limits, uint32(bits)),
		NoPictures: noPictures,
	}
	p.info.takeFor(in.as)
	for _, s := range p.caps.shapes[:p.caps.nshapes] {
		p.info.Matrices = append(p.info.Matrices, MatrixShape{M: int(s[0]), N: int(s[1]), K: int(s[2])})
	}
	p.info.Limits.LargestHeap = p.memory.largestHeap()
	if p.info.Features.MemoryBudget {
		p.info.BudgetBytes = p.memory.localBudget()
	}
	return p, nil
}

func features(c *C.rg_caps, timestampBits uint32) Features {
	b := func(v C.uint32_t) bool { return v != 0 }
	return Features{
		Storage16: b(c.storage16), Storage8: b(c.storage8), Push16: b(c.push16), Float16: b(c.float16), Float64: b(c.float64),
		Int8: b(c.int8), Int16: b(c.int16), Int64: b(c.int64), IntDot: b(c.dot), IntDotFast: b(c.dot) && b(c.dot_fast),
		SubgroupControl: b(c.size_control) && c.sg_required_stages&shaderCompute != 0, FullSubgroups: b(c.full_subgroups),
		UniformFlow: b(c.uniform_flow), CoopMatrix: b(c.coopmat), MemoryBudget: b(c.ext_budget), Timestamps: timestampBits > 0, Portability: b(c.ext_portability),
	}
}

// apply drops from the request what the (possibly overridden) features lack.
func (f Features) apply(c *C.rg_caps) {
	set := func(dst *C.uint32_t, on bool) {
		if !on {
			*dst = 0
		}
	}
	set(&c.storage16, f.Storage16)
	set(&c.storage8, f.Storage8)
	set(&c.push16, f.Push16)
	set(&c.float16, f.Float16)
	set(&c.float64, f.Float64)
	set(&c.int8, f.Int8)
	set(&c.int16, f.Int16)
	set(&c.int64, f.Int64)
	set(&c.dot, f.IntDot)
	set(&c.uniform_flow, f.UniformFlow)
	set(&c.coopmat, f.CoopMatrix && f.Float16)
	set(&c.size_control, f.SubgroupControl)
	set(&c.full_subgroups, f.FullSubgroups)
	set(&c.ext_budget, f.MemoryBudget)
}

const shaderCompute = 0x20 // VK_SHADER_STAGE_COMPUTE_BIT

func subgroup(c *C.rg_caps) Subgroup {
	s := Subgroup{Size: int(c.sg_size), Min: int(c.sg_min), Max: int(c.sg_max), Ops: []string{}}
	if c.sg_stages&shaderCompute != 0 {
		s.Ops = opNames(uint32(c.sg_ops))
	}
	return s
}

func limits(c *C.rg_caps, l vk.PhysicalDeviceLimits, timestampBits uint32) Limits {
	maxAlloc := uint64(c.max_alloc)
	if c.max_buffer != 0 {
		maxAlloc = min(maxAlloc, uint64(c.max_buffer))
	}
	return Limits{
		MaxStorageBufferRange: clampInt(uint64(l.MaxStorageBufferRange)), MaxTexelBufferElements: clampInt(uint64(l.MaxTexelBufferElements)),
		MaxAllocationSize: clampInt(maxAlloc), MaxAllocationCount: clampInt(uint64(l.MaxMemoryAllocationCount)),
		MaxWorkgroupInvocations: int(l.MaxComputeWorkGroupInvocations),
		MaxWorkgroupSize:        ints(l.MaxComputeWorkGroupSize), MaxWorkgroupCount: ints(l.MaxComputeWorkGroupCount),
		MaxWorkgroupSubgroups: int(c.sg_max_groups),
		SharedMemory:          int(l.MaxComputeSharedMemorySize), PushConstants: int(l.MaxPushConstantsSize),
		MaxStorageBuffers: clampInt(uint64(min(l.MaxPerStageDescriptorStorageBuffers, l.MaxDescriptorSetStorageBuffers))),
		MaxTexelBuffers:   clampInt(uint64(min(l.MaxPerStageDescriptorSampledImages, l.MaxDescriptorSetSampledImages))),

		StorageOffsetAlignment: max(1, clampInt(uint64(l.MinStorageBufferOffsetAlignment))),
		TexelOffsetAlignment:   max(1, clampInt(uint64(l.MinTexelBufferOffsetAlignment))),
		NonCoherentAtomSize:    clampInt(uint64(l.NonCoherentAtomSize)),
		TimestampPeriod:        float64(l.TimestampPeriod), TimestampBits: int(timestampBits),
	}
}

func ints(v [3]uint32) (out [3]int) {
	for i, x := range v {
		out[i] = clampInt(uint64(x))
	}
	return out
}

func clampInt(v uint64) int { return int(min(v, math.MaxInt)) }

func deviceType(t vk.PhysicalDeviceType) Type {
	switch t {
	case vk.PhysicalDeviceTypeDiscreteGpu:
		return Discrete
	case vk.PhysicalDeviceTypeIntegratedGpu:
		return Integrated
	case vk.PhysicalDeviceTypeVirtualGpu:
		return Virtual
	case vk.PhysicalDeviceTypeCpu:
		return CPU
	}
	return Other
}

func vendorName(id uint32) string {
	if name, ok := vendorNames[id]; ok {
		return name
	}
	return fmt.Sprintf("0x%04x", id)
}

// driverName prefers the driver's own words; the number's layout is the vendor's affair.
func driverName(c *C.rg_caps, vendor, version uint32) string {
	name, info := C.GoString(&c.driver_name[0]), C.GoString(&c.driver_info[0])
	if s := strings.TrimSpace(name + " " + info); s != "" {
		return s
	}
	if vendor == 0x10de {
		return fmt.Sprintf("%d.%d.%d.%d", version>>22, version>>14&0xff, version>>6&0xff, version&0x3f)
	}
	return versionString(version)
}

func apiVersion(major, minor uint32) uint32 { return major<<22 | minor<<12 }

func versionString(v uint32) string { return fmt.Sprintf("%d.%d.%d", v>>22&0x7f, v>>12&0x3ff, v&0xfff) }
