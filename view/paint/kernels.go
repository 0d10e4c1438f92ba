package paint

import (
	"image/color"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// kernels are those that draw.
type kernels struct {
	largest *shaders.ViewLargest
	state   *shaders.ViewState
	keys    *shaders.ViewKeys
	quads   *shaders.ViewQuads
}

func (k *kernels) make(dev *gpu.Device) (err error) {
	if k.largest, err = shaders.NewViewLargest(dev, shaders.ViewLargestOnly, shaders.ViewLargestSpec{}); err != nil {
		return err
	}
	if k.state, err = shaders.NewViewState(dev, shaders.ViewStateOnly, shaders.ViewStateSpec{}); err != nil {
		return err
	}
	if k.keys, err = shaders.NewViewKeys(dev, shaders.ViewKeysOnly, shaders.ViewKeysSpec{}); err != nil {
		return err
	}
	k.quads, err = shaders.NewViewQuads(dev, shaders.ViewQuadsOnly, shaders.ViewQuadsSpec{})
	return err
}

func (k *kernels) release() {
	if k.largest != nil {
		k.largest.Release()
	}
	if k.state != nil {
		k.state.Release()
	}
	if k.keys != nil {
		k.keys.Release()
	}
	if k.quads != nil {
		k.quads.Release()
	}
}

// pixel returns a color as a pixel of a frame has it.
func pixel(c color.RGBA, blue bool) uint32 {
	if blue {
		c.R, c.B = c.B, c.R
	}
	return uint32(c.R) | uint32(c.G)<<8 | uint32(c.B)<<16 | uint32(c.A)<<24
}

// scaleWords returns the colors of a scale as view_state.comp reads them.
func scaleWords(s *colors.Scale, blue bool) []uint32 {
	list := make([]uint32, 0, colors.Count+1)
	for _, c := range s.Colors {
		list = append(list, pixel(c, blue))
	}
	return append(list, pixel(colors.Bad, blue))
}

// quadWords appends rectangles as view_quads.comp reads them.
func quadWords(dst []uint32, list []scene.Quad, blue bool) []uint32 {
	for i := range list {
		q := &list[i]
		w := glsl.Quad{Place: uint32(q.X) | uint32(q.Y)<<16, Size: uint32(q.Width) | uint32(q.Height)<<16, Color: pixel(q.Color, blue), Glyph: glsl.Solid}
		if q.Glyph >= 0 {
			w.Glyph = uint32(q.Glyph)
		}
		words := w.Words()
		dst = append(dst, words[:]...)
	}
	return dst
}
