package kernel

/*
#include "level_calls.h"

static const char *compiler(void) {
#if defined(__clang__)
	return __VERSION__; // which begins with its name
#else
	return "GCC " __VERSION__;
#endif
}
*/
import "C"

// Compiler names the C compiler that made the kernels, with its version.
func Compiler() string { return C.GoString(C.compiler()) }

// Built returns the levels whose kernels the program holds, the fastest one last. Levels has those of them that this
// processor can run.
func Built() (list []Level) {
	for l := range levelEnd {
		if C.rk_built(C.int(l)) != 0 {
			list = append(list, l)
		}
	}
	return list
}
