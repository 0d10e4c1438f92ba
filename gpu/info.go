package gpu

import (
	"fmt"
	"os"
)

// Info describes a device. Sizes are in bytes.
type Info struct {
	Index       int      `json:"index"`
	Name        string   `json:"name"`
	Type        Type     `json:"type"`
	Vendor      string   `json:"vendor"`              // for display only
	Driver      string   `json:"driver"`              // name and version; keys measurements, changes with the driver
	DriverID    int      `json:"driver_id,omitempty"` // VkDriverId; 0: not stated
	API         string   `json:"api"`                 // e.g. "1.3.230"
	MemoryBytes uint64   `json:"memory_bytes"`
	BudgetBytes uint64   `json:"budget_bytes,omitempty"` // what the process may use of it now; 0: not known
	Subgroup    Subgroup `json:"subgroup"`
	Features    Features `json:"features"`
	Limits      Limits   `json:"limits"`

	// Matrices are the shapes of cooperative matrices that a subgroup shares. They multiply float16, and add the products
	// to float32.
	Matrices []MatrixShape `json:"matrices,omitempty"`

	// NoPictures says why the device shows no pictures in the instance's window. It is empty if the device shows them, and
	// without a window. Such a device is listed, so that its index does not depend on the window, and cannot be opened.
	NoPictures string `json:"-"`
}

// These are the DriverIDs of drivers that run on processors.
const (
	SwiftShader = 10
	Lavapipe    = 13
)

// MatrixShape says that a matrix of M x K elements times one of K x N is added to one of M x N.
type MatrixShape struct{ M, N, K int }

// Type is the kind of a device.
type Type string

// Types, in the order Pick prefers them.
const (
	Discrete   Type = "discrete"
	Integrated Type = "integrated"
	Virtual    Type = "virtual"
	CPU        Type = "cpu"
	Other      Type = "other"
)

var typeOrder = map[Type]int{Discrete: 0, Integrated: 1, Virtual: 2, CPU: 3, Other: 4}

// typeEnv is the environment variable with the type that all devices get. So tests run what another type of device
// runs.
const typeEnv = "RWKV_DEVICE_TYPE"

// typeAsked returns the type that the environment names, empty if it names none.
func typeAsked() (Type, error) {
	t := Type(os.Getenv(typeEnv))
	if _, ok := typeOrder[t]; !ok && t != "" {
		return "", fmt.Errorf("vulkan: %s=%s: want discrete, integrated, virtual, cpu or other", typeEnv, t)
	}
	return t, nil
}

// takeFor makes a device one of another type. Its name says so, and so its measurements have keys of their own.
func (in *Info) takeFor(t Type) {
	if t != "" && t != in.Type {
		in.Type, in.Name = t, fmt.Sprintf("%s as %s", in.Name, t)
	}
}

// Subgroup describes subgroups in compute shaders.
type Subgroup struct {
	Size int      `json:"size"` // the device's own choice
	Min  int      `json:"min"`  // sizes a kernel may require; equal to Size without size control
	Max  int      `json:"max"`
	Ops  []string `json:"ops"` // basic, vote, arithmetic, ballot, shuffle, shuffle_relative, clustered, quad
}

// Features are the optional features; an opened device has exactly these enabled.
type Features struct {
	Storage16       bool `json:"storage16"`        // 16-bit types in storage buffers
	Storage8        bool `json:"storage8"`         // 8-bit types in storage buffers
	Push16          bool `json:"push16"`           // 16-bit types in push constants
	Float16         bool `json:"float16"`          // arithmetic
	Float64         bool `json:"float64"`          // arithmetic
	Int8            bool `json:"int8"`             // arithmetic
	Int16           bool `json:"int16"`            // arithmetic
	Int64           bool `json:"int64"`            // arithmetic
	IntDot          bool `json:"int_dot"`          // integer dot products
	IntDotFast      bool `json:"int_dot_fast"`     // packed 4x8-bit signed ones are accelerated
	SubgroupControl bool `json:"subgroup_control"` // a kernel may require a subgroup size
	FullSubgroups   bool `json:"full_subgroups"`   // a kernel may require full subgroups
	UniformFlow     bool `json:"uniform_flow"`     // a kernel may require that diverged lanes of a subgroup meet again
	CoopMatrix      bool `json:"coop_matrix"`      // cooperative matrices of one of Info.Matrices
	MemoryBudget    bool `json:"memory_budget"`    // MemoryBudget reports the driver's own figures
	Timestamps      bool `json:"timestamps"`
	Portability     bool `json:"portability"` // a subset of Vulkan on another API (MoltenVK)
}

// Limits bound what may be asked of a device. An opened device checks against its own copy,
// which DeviceOptions.LimitOverride can lower.
type Limits struct {
	MaxStorageBufferRange   int     `json:"max_storage_buffer_range"`  // bytes of one storage buffer binding
	MaxTexelBufferElements  int     `json:"max_texel_buffer_elements"` // texels of one texel binding
	MaxAllocationSize       int     `json:"max_allocation_size"`       // bytes of one buffer
	MaxAllocationCount      int     `json:"max_allocation_count"`      // device memory blocks
	MaxWorkgroupInvocations int     `json:"max_workgroup_invocations"` // product of the local size
	MaxWorkgroupSize        [3]int  `json:"max_workgroup_size"`        // local size per axis
	MaxWorkgroupCount       [3]int  `json:"max_workgroup_count"`       // groups of one dispatch per axis
	MaxWorkgroupSubgroups   int     `json:"max_workgroup_subgroups"`   // with a required subgroup size; 0: not stated
	SharedMemory            int     `json:"shared_memory"`             // bytes per workgroup
	PushConstants           int     `json:"push_constants"`            // bytes
	MaxStorageBuffers       int     `json:"max_storage_buffers"`       // storage bindings of one kernel
	MaxTexelBuffers         int     `json:"max_texel_buffers"`         // texel bindings of one kernel
	StorageOffsetAlignment  int     `json:"storage_offset_alignment"`  // of a bound range
	TexelOffsetAlignment    int     `json:"texel_offset_alignment"`    // of a bound texel range
	NonCoherentAtomSize     int     `json:"non_coherent_atom_size"`    // not needed here: mapped memory is coherent
	TimestampPeriod         float64 `json:"timestamp_period_ns"`       // nanoseconds per tick
	TimestampBits           int     `json:"timestamp_bits"`            // 0: no timestamps
	LargestHeap             int     `json:"largest_heap"`              // bytes of the largest memory heap
}

// Pick returns the index of the device to use when none is named: one that shows pictures in the window, if there is a
// window, then discrete before integrated, virtual, CPU and other, then the one with more memory, then the first; -1 if
// there is none.
func Pick(infos []Info) int {
	best := -1
	for i, in := range infos {
		if best < 0 {
			best = i
			continue
		}
		b := infos[best]
		if shows, bestShows := in.NoPictures == "", b.NoPictures == ""; shows != bestShows {
			if shows {
				best = i
			}
			continue
		}
		ti, tb := typeOrder[in.Type], typeOrder[b.Type]
		if ti < tb || ti == tb && in.MemoryBytes > b.MemoryBytes {
			best = i
		}
	}
	if best < 0 {
		return -1
	}
	return infos[best].Index
}

// HasOp reports whether subgroups have an operation, by its name in Ops.
func (s Subgroup) HasOp(name string) bool {
	for _, op := range s.Ops {
		if op == name {
			return true
		}
	}
	return false
}

// AllowsSubgroup reports whether a kernel may require subgroups of n invocations.
func (in Info) AllowsSubgroup(n int) bool {
	return in.Features.SubgroupControl && n >= in.Subgroup.Min && n <= in.Subgroup.Max && n&(n-1) == 0
}

// FixesSubgroup reports whether a kernel can count on subgroups of n invocations: it may require that size, or the
// device has no other.
func (in Info) FixesSubgroup(n int) bool {
	return in.AllowsSubgroup(n) || in.Subgroup.Min == n && in.Subgroup.Max == n
}

var subgroupOps = [...]string{"basic", "vote", "arithmetic", "ballot", "shuffle", "shuffle_relative", "clustered", "quad"}

func opNames(mask uint32) []string {
	ops := []string{}
	for i, name := range subgroupOps {
		if mask>>i&1 != 0 {
			ops = append(ops, name)
		}
	}
	return ops
}

var vendorNames = map[uint32]string{
	0x1002: "AMD", 0x1010: "Imagination", 0x106b: "Apple", 0x10de: "NVIDIA", 0x13b5: "Arm", 0x14e4: "Broadcom",
	0x1ae0: "Google", 0x5143: "Qualcomm", 0x8086: "Intel", 0x10005: "Mesa", 0x1af4: "Red Hat", 0x1414: "Microsoft", 0x144d: "Samsung",
}
