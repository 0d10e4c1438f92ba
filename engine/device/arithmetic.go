package device

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
)

// Arithmetic names what the last bits of exact results depend on besides the model: the device, its driver, its kernels
// and the build of this program. Of several devices it is known when an executor was made.
func (d *Device) Arithmetic() string {
	if d.split != nil {
		return d.split.arithmetic()
	}
	if d.IsCPU() {
		return cpu.Arithmetic() + " " + runtime.GOARCH + " | " + build()
	}
	return d.current().kernels.Arithmetic() + " | " + build()
}

// Threads returns how many threads an executor on the CPU has if it is asked to have n.
func Threads(n int) int { return cpu.Threads(n) }

// build returns a checksum of what this program was built from: its revision, the libraries, the Go version and the
// settings.
var build = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, info)))
})
