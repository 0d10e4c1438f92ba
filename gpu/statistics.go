package gpu

// #include "shim.h"
import "C"

import (
	"time"
	"unsafe"
)

// Statistics are what a driver's compiler says of one executable of a kernel. Most kernels have one.
type Statistics struct {
	Kernel     string
	Spec       []uint32
	Executable string // as the driver calls it
	Subgroup   int    // invocations of its subgroups
	Took       time.Duration
	Values     map[string]float64 // by the driver's names
}

// tell reports a pipeline that has been compiled.
func (k *Kernel) tell(desc *KernelDesc, took time.Duration) error {
	var n C.uint32_t
	if r := C.rg_executables(k.dev.c, k.pipeline, &n); r != 0 {
		return check("vkGetPipelineExecutablePropertiesKHR", int32(r))
	}
	for i := range n {
		var s C.rg_statistics
		if r := C.rg_executable(k.dev.c, k.pipeline, i, &s); r != 0 {
			return check("vkGetPipelineExecutableStatisticsKHR", int32(r))
		}
		out := Statistics{Kernel: k.name, Spec: desc.Spec, Executable: text(&s.name), Subgroup: int(s.subgroup), Took: took,
			Values: map[string]float64{}}
		for _, v := range s.list[:s.n] {
			out.Values[text(&v.name)] = float64(v.value)
		}
		k.dev.opts.Statistics(out)
	}
	return nil
}

// text reads one of Vulkan's strings of fixed size.
func text(s *[256]C.char) string { return C.GoString((*C.char)(unsafe.Pointer(s))) }
