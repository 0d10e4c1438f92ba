package vulkan

import (
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/trial"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
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

// Avoid sets what is known to give wrong results on the device, before executors are made. They leave it out.
func (k *Kernels) Avoid(known *unfit.Known) { k.set.Unfit = known }

// Unfit returns what is known to give wrong results on the device. Passes recorded from now on leave out what is added.
func (k *Kernels) Unfit() *unfit.Known { return k.set.Unfit }

// Arithmetic names what the last bits of exact results depend on: the device, its driver and the build of the kernels.
func (k *Kernels) Arithmetic() string {
	info := k.set.Dev.Info()
	return fmt.Sprintf("%s | %s | %s", info.Name, info.Driver, shaders.Sum(""))
}

// Release frees the kernels, after the executors that use them are closed.
func (k *Kernels) Release() { k.set.Release() }

// Loads returns the way to load on this device: the faster one, if both give right results. It is measured where t has
// not kept it.
func (k *Kernels) Loads(t *tune.Tuner) (profile.Loads, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.loads != profile.Measured {
		return k.loads, nil
	}
	for _, way := range []profile.Loads{profile.Buffers, profile.Texels} {
		if k.set.Unfit.Has(unfit.Loading(way.String())) {
			return way.Other(), nil
		}
	}
	l, err := trial.FasterLoads(k.set, t)
	if err == nil {
		k.loads = l
	}
	return l, err
}
