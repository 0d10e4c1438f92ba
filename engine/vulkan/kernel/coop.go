package kernel

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/layout"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

func (k *Set) matMulCoop(w layout.Stored, f tune.Form) (*shaders.MatmulCoop, error) {
	v, err := pipeline.Variant(w.Type, false, shaders.Variants[shaders.MatmulCoopVariant]())
	if err != nil {
		return nil, err
	}
	for _, s := range k.forms.Matrices {
		if uint32(s.M) != f.Rows || uint32(s.N) != f.Tokens {
			continue
		}
		return pipeline.Get(k.Set, formKey[shaders.MatmulCoopVariant]{v, f, w.Band}, func() (*shaders.MatmulCoop, error) {
			spec := shaders.MatmulCoopSpec{Local: 4 * uint32(profile.Subgroup(k.Dev.Info())), Rows: f.Rows, Tokens: f.Tokens, Deep: uint32(s.K),
				Side: k.forms.CoopSide(f), Band: uint32(w.Band), Once: pipeline.Flag(f.Kernel != form.Coop, 1)}
			return shaders.NewMatmulCoop(k.Dev, v, spec, k.Full()...)
		})
	}
	return nil, gpu.Unsupportedf("vulkan: kernel %s: device %s has no cooperative matrices of a shape that it takes", f, k.Dev.Info().Name)
}
