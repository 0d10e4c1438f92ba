package vulkan

import (
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/trial"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
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
