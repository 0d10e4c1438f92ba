package pipeline

import (
	"fmt"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Set has the kernels of a device. Executors of one device share it, also in several goroutines.
type Set struct {
	Dev *gpu.Device
	Is  profile.Profile // of the device

	mu   sync.Mutex
	made map[any]made
}

// New returns an empty set of kernels of dev, which must outlive it.
func New(dev *gpu.Device) *Set { return &Set{Dev: dev, Is: profile.Of(dev.Info())} }

// made is a kernel of any shader.
type made interface {
	Failed() bool
	Release()
}

// Get returns the kernel under a key. start makes the kernel the first time, and again after it failed. The driver may
// still be compiling it: commands wait for that.
func Get[K made](s *Set, key any, start func() (K, error)) (K, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have, ok := s.made[key]; ok {
		if !have.Failed() {
			return have.(K), nil
		}
		have.Release()
		delete(s.made, key)
	}
	started, err := start()
	if err != nil {
		return started, err
	}
	if s.made == nil {
		s.made = map[any]made{}
	}
	s.made[key] = started
	return started, nil
}

// Failed returns the keys of the kernels that the driver could not compile.
func (s *Set) Failed() (keys []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, k := range s.made {
		if k.Failed() {
			keys = append(keys, key)
		}
	}
	return keys
}

// Release frees the kernels, after all commands that use them.
func (s *Set) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.made {
		k.Release()
	}
	s.made = nil
}

// Full asks for full subgroups of the size that the constants are made for, as far as the device can promise them.
func (s *Set) Full() (list []shaders.Option) {
	if s.Dev.Info().Features.FullSubgroups {
		list = append(list, shaders.FullSubgroups())
	}
	return append(list, s.Sized()...)
}

// Sized asks for subgroups of the size that the constants are made for, where the device lets a kernel choose.
func (s *Set) Sized() []shaders.Option {
	if n := profile.Subgroup(s.Dev.Info()); s.Dev.Info().AllowsSubgroup(n) {
		return []shaders.Option{shaders.SubgroupSize(n)}
	}
	return nil
}

// Way returns the variant of a kernel for a way to load: tx for texels, else buf.
func Way[V any](texel bool, buf, tx V) V {
	if texel {
		return tx
	}
	return buf
}

// Variant returns the variant of a kernel for a storage type and a way to load. list has all variants of the kernel.
func Variant[V fmt.Stringer](t tensor.Type, texel bool, list []V) (v V, err error) {
	name := strings.ToLower(t.String()) + Way(texel, "", "_tx")
	for _, v := range list {
		if v.String() == name {
			return v, nil
		}
	}
	return v, gpu.Unsupportedf("vulkan: no kernel for weights of type %s", t)
}

// Flag returns a bit if it is on.
func Flag(on bool, bit uint32) uint32 {
	if on {
		return bit
	}
	return 0
}

// Groups returns how many workgroups of a size cover n items.
func Groups(n int, size uint32) uint32 { return (uint32(n) + size - 1) / size }
