package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// SampleAdjust returns the kernel of biases, penalties and masks.
func (k *Set) SampleAdjust() (*shaders.SampleAdjust, error) {
	return pipeline.Get(k.Set, shaders.SampleAdjustOnly, func() (*shaders.SampleAdjust, error) {
		return shaders.NewSampleAdjust(k.Dev, shaders.SampleAdjustOnly, shaders.SampleAdjustSpec{Local: k.Is.Local.Plain})
	})
}

// SampleDraw returns the kernel of draws. Where barriers are slow its workgroups are single subgroups, as for the
// norms. It assumes no subgroup size.
func (k *Set) SampleDraw(texel bool) (*shaders.SampleDraw, error) {
	v := pipeline.Way(texel, shaders.SampleDrawBuf, shaders.SampleDrawTx)
	return pipeline.Get(k.Set, v, func() (*shaders.SampleDraw, error) {
		local := max(k.Is.Local.Norm, 2)
		return shaders.NewSampleDraw(k.Dev, v, shaders.SampleDrawSpec{Local: local, Team: max(local/16, 1)})
	})
}
