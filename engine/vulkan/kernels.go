package vulkan

import (
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/trial"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Kernels has a device's kernels, and makes each when it is first needed. Executors of one device share them, also in
// several goroutines.
type Kernels struct {
	set *kernel.Set

	mu    sync.Mutex
	loads profile.Loads // Measured before they are
}

// NewKernels returns the kernels of dev, which must outlive them.
func NewKernels(dev *gpu.Device) *Kernels { return &Kernels{set: kernel.NewSet(dev)} }

// Arithmetic names what the last bits of exact results depend on: the device, its driver and the build of the kernels.
func (k *Kernels) Arithmetic() string {
	info := k.set.Dev.Info()
	return fmt.Sprintf("%s | %s | %s", info.Name, info.Driver, shaders.Sum(""))
}

// Release frees the kernels, after the executors that use them are closed.
func (k *Kernels) Release() { k.set.Release() }

// faster returns the faster way to load on this device.
func (k *Kernels) faster(t *tune.Tuner) (profile.Loads, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loads != profile.Measured {
		return k.loads, nil
	}
	l, err := trial.FasterLoads(k.set, t)
	if err == nil {
		k.loads = l
	}
	return l, err
}
